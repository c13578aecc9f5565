// The encoder as a whole; agreement with Hugging Face is the golden tests' business (tests/e2e).

#include "bertcram/model/bert.h"

#include <cmath>
#include <map>

#include "bertcram/util/error.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::model {
namespace {

using test::near;

const BertShape kTiny = {.vocab = 40, .hidden = 16, .layers = 2, .heads = 4, .ffn = 32, .max_positions = 12};

/// A tiny model with weights large enough that everything in it matters.
struct TinyModel {
  explicit TinyModel(const Head& head = {}, at::ScalarType type = at::kFloat)
      : parameters(parameter_specs(kTiny, head), type, at::kCPU), bert(kTiny, parameters) {
    parameters.initialise(11, 0.3);
  }
  nn::Parameters parameters;
  Bert bert;
};

at::Tensor random_ids(util::RandomStream& random, int64_t batch, int64_t seq) {
  const at::Tensor ids = at::empty({batch, seq}, at::kLong);
  for (int64_t i = 0; i < ids.numel(); ++i) {
    ids.data_ptr<int64_t>()[i] = static_cast<int64_t>(random.below(40));
  }
  return ids;
}

TEST(BertProperty, APaddedBatchEqualsEachRowAlone) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const TinyModel model({.kind = HeadKind::kClassifier, .outputs = 3});
  const std::vector<int64_t> lengths = {9, 2, 5};
  const at::Tensor ids = random_ids(random, 3, 9);
  const at::Tensor types = at::zeros({3, 9}, at::kInt);
  types.narrow(1, 3, 6).fill_(1);
  const at::Tensor bias = at::zeros({3, 1, 1, 9});
  for (int64_t row = 0; row < 3; ++row) {
    const int64_t length = lengths[static_cast<size_t>(row)];
    bias[row].narrow(2, length, 9 - length).fill_(-std::numeric_limits<double>::infinity());
  }
  const at::Tensor states = model.bert.encode({.ids = ids, .token_types = types, .key_bias = bias}, 0.0);
  const at::Tensor outputs = model.bert.classify(states, 0.0);
  EXPECT_EQ(outputs.sizes(), (std::vector<int64_t>{3, 3}));
  for (int64_t row = 0; row < 3; ++row) {
    const int64_t length = lengths[static_cast<size_t>(row)];
    const at::Tensor alone =
        model.bert.encode({.ids = ids.narrow(0, row, 1).narrow(1, 0, length).contiguous(),
                           .token_types = types.narrow(0, row, 1).narrow(1, 0, length).contiguous(),
                           .key_bias = {}},
                          0.0);
    EXPECT_TRUE(near(states.narrow(0, row, 1).narrow(1, 0, length), alone, 2e-5)) << row;
    EXPECT_TRUE(near(outputs.narrow(0, row, 1), model.bert.classify(alone, 0.0), 2e-5)) << row;
  }
}

/// The encoder from its stored tensors in fp64, one formula after the other (Devlin et al. 2019; Vaswani et al. 2017).
class WrittenOut {
 public:
  explicit WrittenOut(nn::Parameters& parameters) {
    for (const nn::NamedTensor& view : parameters.stored_views(parameters.masters())) {
      tensors_[view.name] = view.tensor.to(at::kDouble);
    }
  }

  at::Tensor encode(const at::Tensor& ids, const at::Tensor& types) const {  // [seq] each
    at::Tensor x = norm(table("word").index_select(0, ids) + table("position").narrow(0, 0, ids.size(0)) +
                            table("token_type").index_select(0, types),
                        "bert.embeddings.LayerNorm");
    for (int64_t i = 0; i < kTiny.layers; ++i) {
      const std::string layer = cat("bert.encoder.layer.", i, ".");
      x = norm(x + dense(attend(x, layer + "attention.self."), layer + "attention.output.dense"),
               layer + "attention.output.LayerNorm");
      const at::Tensor wide = dense(x, layer + "intermediate.dense");
      const at::Tensor active = 0.5 * wide * (1 + at::erf(wide / std::sqrt(2.0)));
      x = norm(x + dense(active, layer + "output.dense"), layer + "output.LayerNorm");
    }
    return x;  // [seq, hidden]
  }

  at::Tensor logits(const at::Tensor& states) const {
    const at::Tensor wide = dense(states, "cls.predictions.transform.dense");
    const at::Tensor active = 0.5 * wide * (1 + at::erf(wide / std::sqrt(2.0)));
    return at::matmul(norm(active, "cls.predictions.transform.LayerNorm"), table("word").t()) +
           tensors_.at("cls.predictions.bias");
  }

 private:
  at::Tensor table(const std::string& name) const {
    return tensors_.at("bert.embeddings." + name + "_embeddings.weight");
  }
  at::Tensor dense(const at::Tensor& x, const std::string& name) const {
    return at::matmul(x, tensors_.at(name + ".weight").t()) + tensors_.at(name + ".bias");
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    const at::Tensor centred = x - x.mean(-1, /*keepdim=*/true);
    const at::Tensor variance = (centred * centred).mean(-1, /*keepdim=*/true);
    return centred / at::sqrt(variance + kTiny.layer_norm_eps) * tensors_.at(name + ".weight") +
           tensors_.at(name + ".bias");
  }
  at::Tensor attend(const at::Tensor& x, const std::string& self) const {
    const int64_t dim = kTiny.hidden / kTiny.heads;
    std::vector<at::Tensor> mixed;
    for (int64_t head = 0; head < kTiny.heads; ++head) {
      const auto part = [&](const char* name) { return dense(x, self + name).narrow(1, head * dim, dim); };
      const at::Tensor scores = at::matmul(part("query"), part("key").t()) / std::sqrt(static_cast<double>(dim));
      mixed.push_back(at::matmul(at::softmax(scores, -1), part("value")));
    }
    return at::cat(mixed, 1);
  }

  std::map<std::string, at::Tensor> tensors_;
};

TEST(BertProperty, EqualsTheFormulasWrittenOut) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  TinyModel model;
  model.parameters.masters().add_(0.05 *
                                  test::random_tensor(random, model.parameters.masters().sizes()).to(at::kFloat));
  const WrittenOut reference(model.parameters);
  const at::Tensor ids = random_ids(random, 2, 11);
  const at::Tensor types = random_ids(random, 2, 11).remainder(2);
  const at::Tensor states = model.bert.encode({.ids = ids, .token_types = types, .key_bias = {}}, 0.0);
  for (int64_t row = 0; row < 2; ++row) {
    const at::Tensor expected = reference.encode(ids[row], types[row]);
    EXPECT_TRUE(near(states[row], expected, 1e-5));
    const at::Tensor positions = at::arange(11, at::kLong) + 11 * row;
    EXPECT_TRUE(near(model.bert.masked_lm_logits(states, positions), reference.logits(expected), 1e-4));
  }
}

TEST(Bert, RowsOfABatchDoNotSeeEachOther) {
  util::RandomStream random(1);
  const TinyModel model;
  const at::Tensor ids = random_ids(random, 4, 8);
  const at::Tensor states = model.bert.encode({.ids = ids, .token_types = {}, .key_bias = {}}, 0.0);
  const at::Tensor alone = model.bert.encode({.ids = ids.narrow(0, 2, 1), .token_types = {}, .key_bias = {}}, 0.0);
  EXPECT_TRUE(near(states.narrow(0, 2, 1), alone, 1e-5));
}

TEST(Bert, PositionsTypesAndTheWholeRowMatter) {
  const TinyModel model;
  const auto encode = [&](std::vector<int64_t> ids, const at::Tensor& types) {
    const auto seq = static_cast<int64_t>(ids.size());
    return model.bert.encode({.ids = test::ids_of(ids).view({1, seq}), .token_types = types, .key_bias = {}}, 0.0);
  };
  const at::Tensor base = encode({7, 8, 9}, {});
  EXPECT_TRUE(near(encode({7, 8, 9}, at::zeros({1, 3}, at::kInt)), base, 1e-6));
  EXPECT_FALSE(near(encode({7, 8, 9}, at::ones({1, 3}, at::kInt)), base, 1e-2));
  EXPECT_FALSE(near(encode({8, 7, 9}, {}).select(1, 2), base.select(1, 2), 1e-4)) << "order matters";
  EXPECT_FALSE(near(encode({7, 8, 10}, {}).select(1, 0), base.select(1, 0), 1e-3)) << "attention looks ahead";
}

TEST(Bert, Int32AndInt64IdsAreTheSame) {
  util::RandomStream random(2);
  const TinyModel model;
  const at::Tensor ids = random_ids(random, 2, 5);
  EXPECT_TRUE(test::same_bits(model.bert.encode({.ids = ids, .token_types = {}, .key_bias = {}}, 0.0),
                              model.bert.encode({.ids = ids.to(at::kInt), .token_types = {}, .key_bias = {}}, 0.0)));
}

TEST(Bert, LossIsThatOfItsLogitsAndReachesEveryParameter) {
  util::RandomStream random(3);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    TinyModel model({}, type);
    const at::Tensor states =
        model.bert.encode({.ids = random_ids(random, 3, 12), .token_types = {}, .key_bias = {}}, 0.0);
    EXPECT_EQ(states.scalar_type(), type);
    const at::Tensor positions = test::ids_of({0, 5, 13, 30});
    const at::Tensor targets = test::ids_of({1, 39, 0, 20});
    const at::Tensor logits = model.bert.masked_lm_logits(states, positions);
    EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{4, 40}));
    const at::Tensor loss = model.bert.masked_lm_loss(states, positions, targets);
    const at::Tensor expected = at::cross_entropy_loss(logits, targets, {}, at::Reduction::Sum);
    EXPECT_TRUE(near(loss, expected, type == at::kFloat ? 1e-4 : 1e-2 * expected.item<double>()));
    loss.backward();
    model.parameters.accumulate_gradients();
    for (const nn::NamedTensor& gradient : model.parameters.stored_views(model.parameters.gradients())) {
      EXPECT_TRUE(at::isfinite(gradient.tensor).all().item<bool>()) << gradient.name;
      // A constant added to every key changes no softmax: its gradient is zero but for rounding.
      const bool is_key_bias = gradient.name.ends_with("key.bias");
      EXPECT_TRUE(is_key_bias || gradient.tensor.abs().max().item<double>() > 1e-5) << gradient.name;
    }
  }
}

// The whole model, fp32: the derivative along random directions against differences of the loss.
TEST(BertProperty, GradientsAreFiniteDifferencesAlongRandomDirections) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  TinyModel model;
  const at::Tensor ids = random_ids(random, 2, 10);
  const auto loss_now = [&] {
    const at::Tensor states = model.bert.encode({.ids = ids, .token_types = {}, .key_bias = {}}, 0.0);
    return model.bert.masked_lm_loss(states, test::ids_of({1, 4, 12}), test::ids_of({3, 9, 27}));
  };
  loss_now().backward();
  model.parameters.accumulate_gradients();
  const at::Tensor gradient = model.parameters.gradients().clone();
  const c10::NoGradGuard no_grad;
  const at::Tensor start = model.parameters.masters().clone();
  for (int round = 0; round < 5; ++round) {
    const at::Tensor direction = test::random_tensor(random, start.sizes()).to(at::kFloat);
    constexpr double kStep = 1e-4;
    model.parameters.masters().copy_(start + kStep * direction);
    const double after = loss_now().item<double>();
    model.parameters.masters().copy_(start - kStep * direction);
    const double before = loss_now().item<double>();
    const double slope = (gradient * direction).sum(at::kDouble).item<double>();
    EXPECT_NEAR((after - before) / (2 * kStep), slope, 0.02 * std::max(1.0, std::abs(slope)));
  }
}

TEST(Bert, ASequenceLongerThanItsPositionsIsADataError) {
  const TinyModel model;
  EXPECT_TRUE(
      test::contains(test::message_of<DataError>([&] {
                       model.bert.encode({.ids = at::zeros({1, 13}, at::kInt), .token_types = {}, .key_bias = {}}, 0.0);
                     }),
                     "12 positions"));
}

TEST(Bert, DropoutFollowsItsSeed) {
  util::RandomStream random(4);
  const TinyModel model;
  const EncoderInput input = {.ids = random_ids(random, 2, 6), .token_types = {}, .key_bias = {}};
  const auto encode = [&](uint64_t seed) {
    at::manual_seed(seed);
    return model.bert.encode(input, 0.5);
  };
  EXPECT_TRUE(test::same_bits(encode(1), encode(1)));
  EXPECT_FALSE(test::same_bits(encode(1), encode(2)));
}

}  // namespace
}  // namespace bertcram::model
