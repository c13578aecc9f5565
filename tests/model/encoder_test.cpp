// The encoders as a whole; agreement with Hugging Face is the golden tests' business (golden.models, tests/e2e).

#include "bertcram/model/encoder.h"

#include <ostream>

#include "bertcram/model/parameter_specs.h"
#include "bertcram/util/error.h"
#include "model/written_out.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::model {
namespace {

using test::near;

const EncoderShape kBert = {.vocab = 40, .hidden = 16, .layers = 2, .heads = 4, .ffn = 32, .max_positions = 12};
const EncoderShape kModern = {.arch = config::Arch::kModern,
                              .vocab = 40,
                              .hidden = 16,
                              .layers = 3,
                              .heads = 4,
                              .ffn = 24,
                              .max_positions = 12,
                              .layer_norm_eps = 1e-5};
/// Layers 1 and 2 see two tokens on each side.
const EncoderShape kLocal = [] {
  EncoderShape shape = kModern;
  shape.global_every = 3;
  shape.local_attention = 4;
  shape.global_rope_theta = 500;
  return shape;
}();

/// A tiny model with weights large enough that everything in it matters.
struct TinyModel {
  explicit TinyModel(const EncoderShape& shape, const Head& head = {}, at::ScalarType type = at::kFloat)
      : parameters(parameter_specs(shape, head), type, at::kCPU), encoder(make_encoder(shape, head, parameters)) {
    parameters.initialise(11, 0.3);
  }
  nn::Parameters parameters;
  std::unique_ptr<Encoder> encoder;
};

at::Tensor random_ids(util::RandomStream& random, int64_t batch, int64_t seq) {
  const at::Tensor ids = at::empty({batch, seq}, at::kLong);
  for (int64_t i = 0; i < ids.numel(); ++i) {
    ids.data_ptr<int64_t>()[i] = static_cast<int64_t>(random.below(40));
  }
  return ids;
}

/// Rows of these lengths, padded to the longest, with two token types.
struct Padded {
  Padded(util::RandomStream& random, std::vector<int64_t> row_lengths) : lengths(std::move(row_lengths)) {
    const auto batch = static_cast<int64_t>(lengths.size());
    const int64_t seq = *std::max_element(lengths.begin(), lengths.end());
    input.ids = random_ids(random, batch, seq);
    input.token_types = random_ids(random, batch, seq).remainder(2);
    input.key_bias = at::zeros({batch, 1, 1, seq});
    for (int64_t row = 0; row < batch; ++row) {
      const int64_t length = lengths[static_cast<size_t>(row)];
      input.key_bias[row].narrow(2, length, seq - length).fill_(-std::numeric_limits<double>::infinity());
    }
  }

  EncoderInput row(int64_t row) const {
    const int64_t length = lengths[static_cast<size_t>(row)];
    return {.ids = input.ids.narrow(0, row, 1).narrow(1, 0, length).contiguous(),
            .token_types = input.token_types.narrow(0, row, 1).narrow(1, 0, length).contiguous()};
  }

  /// All rows behind each other, without padding.
  EncoderInput flat() const {
    EncoderInput flat = {.cu_seqlens = {0}};
    std::vector<at::Tensor> ids;
    std::vector<at::Tensor> types;
    for (int64_t i = 0; i < std::ssize(lengths); ++i) {
      ids.push_back(row(i).ids);
      types.push_back(row(i).token_types);
      flat.cu_seqlens.push_back(flat.cu_seqlens.back() + lengths[static_cast<size_t>(i)]);
    }
    flat.ids = at::cat(ids, 1);
    flat.token_types = at::cat(types, 1);
    return flat;
  }

  std::vector<int64_t> lengths;
  EncoderInput input;
};

const char* name_of(const EncoderShape& shape) {
  return shape.arch == config::Arch::kBert ? "bert" : shape.global_every == 1 ? "modern" : "modern_local";
}

}  // namespace

/// For GoogleTest.
void PrintTo(const EncoderShape& shape, std::ostream* out) { *out << name_of(shape); }

namespace {

class EncoderProperty : public ::testing::TestWithParam<EncoderShape> {
 protected:
  EncoderProperty() : seed_(test::test_seed()), trace_(__FILE__, __LINE__, test::seed_note(seed_)), random_(seed_) {}

  uint64_t seed_;
  ::testing::ScopedTrace trace_;
  util::RandomStream random_;
};

INSTANTIATE_TEST_SUITE_P(Architectures, EncoderProperty, ::testing::Values(kBert, kModern, kLocal),
                         [](const auto& shape) { return name_of(shape.param); });

TEST_P(EncoderProperty, PaddedRowsRowsAloneAndSequencesInOneRowAreTheSame) {
  const TinyModel model(GetParam(), {.kind = HeadKind::kClassifier, .outputs = 3});
  const Padded rows(random_, {9, 2, 5, 12, 1, 5, 5});
  const at::Tensor states = model.encoder->encode(rows.input);
  const at::Tensor outputs = model.encoder->classify(rows.input);
  const EncoderInput flat = rows.flat();
  const at::Tensor flat_states = model.encoder->encode(flat);
  const at::Tensor flat_outputs = model.encoder->classify(flat);
  EXPECT_EQ(outputs.sizes(), (std::vector<int64_t>{7, 3}));
  for (int64_t row = 0; row < 7; ++row) {
    const int64_t length = rows.lengths[static_cast<size_t>(row)];
    const at::Tensor alone = model.encoder->encode(rows.row(row));
    EXPECT_TRUE(near(states.narrow(0, row, 1).narrow(1, 0, length), alone, 2e-5)) << row;
    EXPECT_TRUE(near(flat_states.narrow(1, flat.cu_seqlens[static_cast<size_t>(row)], length), alone, 2e-5)) << row;
    const at::Tensor output = model.encoder->classify(rows.row(row));
    EXPECT_TRUE(near(outputs.narrow(0, row, 1), output, 2e-5)) << row;
    EXPECT_TRUE(near(flat_outputs.narrow(0, row, 1), output, 2e-5)) << row;
  }
}

TEST_P(EncoderProperty, GradientsOfPaddedRowsAndSequencesInOneRowAreTheSame) {
  TinyModel padded(GetParam());
  TinyModel flat(GetParam());
  const Padded rows(random_, {4, 7, 3});
  const auto backward = [](TinyModel& model, const EncoderInput& input, const std::vector<int64_t>& positions) {
    const at::Tensor states = model.encoder->encode_at(input, test::ids_of(positions));
    model.encoder->masked_lm_loss(states, test::ids_of({3, 9, 27})).backward();
    return model.parameters.gradients();
  };
  const at::Tensor expected = backward(padded, rows.input, {2, 7, 16});
  EXPECT_GT(expected.abs().max().item<double>(), 0.1);
  EXPECT_TRUE(near(backward(flat, rows.flat(), {2, 4, 13}), expected, 2e-5 * expected.abs().max().item<double>()));
}

TEST_P(EncoderProperty, EqualsTheFormulasWrittenOut) {
  TinyModel model(GetParam());
  model.parameters.masters().add_(0.05 *
                                  test::random_tensor(random_, model.parameters.masters().sizes()).to(at::kFloat));
  const BertWrittenOut bert(model.parameters, GetParam());
  const ModernWrittenOut modern(model.parameters, GetParam());
  const bool is_bert = GetParam().arch == config::Arch::kBert;
  const at::Tensor ids = random_ids(random_, 2, 11);
  const at::Tensor types = random_ids(random_, 2, 11).remainder(2);
  const at::Tensor states = model.encoder->encode({.ids = ids, .token_types = types});
  for (int64_t row = 0; row < 2; ++row) {
    const at::Tensor expected = is_bert ? bert.encode(ids[row], types[row]) : modern.encode(ids[row]);
    EXPECT_TRUE(near(states[row], expected, 1e-5));
    EXPECT_TRUE(near(model.encoder->masked_lm_logits(states[row]),
                     is_bert ? bert.logits(expected) : modern.logits(expected), 1e-4));
  }
}

// Of padded rows and of sequences in one row, forward and backward, recomputed or not.
TEST_P(EncoderProperty, StatesAtSomePositionsAreThoseOfAll) {
  const Padded rows(random_, {9, 2, 5});
  const auto positions_of = [](const EncoderInput& input) {
    return input.cu_seqlens.empty() ? test::ids_of({17, 0, 8, 10, 20}) : test::ids_of({15, 0, 8, 10, 11});
  };
  for (const EncoderInput& input : {rows.input, rows.flat()}) {
    for (const Recompute recompute : {Recompute::kNever, Recompute::kPerLayer}) {
      const auto states_and_gradients = [&](const auto& encode) {
        TinyModel model(GetParam());
        const at::Tensor states = encode(*model.encoder);  // [5, hidden]
        model.encoder->masked_lm_loss(states, test::ids_of({3, 9, 27, 0, 39})).backward();
        return std::pair(states.detach().clone(), model.parameters.gradients().clone());
      };
      const auto [some, some_gradients] = states_and_gradients([&](const Encoder& encoder) {
        return encoder.encode_at(input, positions_of(input), {.recompute = recompute});
      });
      const auto [all, all_gradients] = states_and_gradients([&](const Encoder& encoder) {
        return encoder.encode(input, {.recompute = recompute}).flatten(0, 1).index_select(0, positions_of(input));
      });
      EXPECT_EQ(some.sizes(), (std::vector<int64_t>{5, GetParam().hidden}));
      EXPECT_TRUE(near(some, all, 2e-5));
      EXPECT_TRUE(near(some_gradients, all_gradients, 2e-5 * all_gradients.abs().max().item<double>()));
    }
  }
}

// A small pass may have no masked token.
TEST_P(EncoderProperty, NoPositionsAreNoLossAndNoGradient) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    TinyModel model(GetParam(), {}, type);
    const at::Tensor none = at::zeros({0}, at::kLong);
    const at::Tensor states = model.encoder->encode_at({.ids = random_ids(random_, 2, 5)}, none);
    EXPECT_EQ(states.sizes(), (std::vector<int64_t>{0, GetParam().hidden}));
    const at::Tensor loss = model.encoder->masked_lm_loss(states, none);
    loss.backward();
    EXPECT_EQ(loss.item<double>(), 0.0);
    EXPECT_EQ(model.parameters.gradients().abs().max().item<double>(), 0.0);
  }
}

TEST_P(EncoderProperty, RowsOfABatchDoNotSeeEachOther) {
  util::RandomStream& random = random_;
  const TinyModel model(GetParam());
  const at::Tensor ids = random_ids(random, 4, 8);
  const at::Tensor states = model.encoder->encode({.ids = ids});
  const at::Tensor alone = model.encoder->encode({.ids = ids.narrow(0, 2, 1)});
  EXPECT_TRUE(near(states.narrow(0, 2, 1), alone, 1e-5));
}

TEST(Bert, PositionsTypesAndTheWholeRowMatter) {
  const TinyModel model(kBert);
  const auto encode = [&](std::vector<int64_t> ids, const at::Tensor& types) {
    const auto seq = static_cast<int64_t>(ids.size());
    return model.encoder->encode({.ids = test::ids_of(ids).view({1, seq}), .token_types = types});
  };
  const at::Tensor base = encode({7, 8, 9}, {});
  EXPECT_TRUE(near(encode({7, 8, 9}, at::zeros({1, 3}, at::kInt)), base, 1e-6));
  EXPECT_FALSE(near(encode({7, 8, 9}, at::ones({1, 3}, at::kInt)), base, 1e-2));
  EXPECT_FALSE(near(encode({8, 7, 9}, {}).select(1, 2), base.select(1, 2), 1e-4)) << "order matters";
  EXPECT_FALSE(near(encode({7, 8, 10}, {}).select(1, 0), base.select(1, 0), 1e-3)) << "attention looks ahead";
}

TEST(Encoder, Int32AndInt64IdsAreTheSame) {
  util::RandomStream random(2);
  const TinyModel model(kBert);
  const at::Tensor ids = random_ids(random, 2, 5);
  EXPECT_TRUE(test::same_bits(model.encoder->encode({.ids = ids}), model.encoder->encode({.ids = ids.to(at::kInt)})));
}

TEST_P(EncoderProperty, LossIsThatOfItsLogitsAndReachesEveryParameter) {
  util::RandomStream& random = random_;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    TinyModel model(GetParam(), {}, type);
    const at::Tensor positions = test::ids_of({0, 5, 13, 30});
    const at::Tensor states = model.encoder->encode_at({.ids = random_ids(random, 3, 12)}, positions);
    EXPECT_EQ(states.scalar_type(), type);
    const at::Tensor targets = test::ids_of({1, 39, 0, 20});
    const at::Tensor logits = model.encoder->masked_lm_logits(states);
    EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{4, 40}));
    const at::Tensor loss = model.encoder->masked_lm_loss(states, targets);
    const at::Tensor expected = at::cross_entropy_loss(logits, targets, {}, at::Reduction::Sum);
    EXPECT_TRUE(near(loss, expected, type == at::kFloat ? 1e-4 : 1e-2 * expected.item<double>()));
    loss.backward();
    for (const nn::NamedTensor& gradient : model.parameters.stored_views(model.parameters.gradients())) {
      EXPECT_TRUE(at::isfinite(gradient.tensor).all().item<bool>()) << gradient.name;
      // A constant added to every key changes no softmax: its gradient is zero but for rounding.
      const bool is_key_bias = gradient.name.ends_with("key.bias");
      EXPECT_TRUE(is_key_bias || gradient.tensor.abs().max().item<double>() > 1e-5) << gradient.name;
    }
  }
}

// The whole model, fp32: the derivative along random directions against differences of the loss.
TEST_P(EncoderProperty, GradientsAreFiniteDifferencesAlongRandomDirections) {
  util::RandomStream& random = random_;
  TinyModel model(GetParam());
  const at::Tensor ids = random_ids(random, 2, 10);
  const auto loss_now = [&] {
    const at::Tensor states = model.encoder->encode_at({.ids = ids}, test::ids_of({1, 4, 12}));
    return model.encoder->masked_lm_loss(states, test::ids_of({3, 9, 27}));
  };
  loss_now().backward();
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

TEST(Encoder, ASequenceLongerThanItsPositionsIsADataError) {
  const TinyModel model(kBert);
  EXPECT_TRUE(test::contains(test::message_of<DataError>([&] {
                               model.encoder->encode({.ids = at::zeros({1, 13}, at::kInt)});
                             }),
                             "12 positions"));
}

TEST_P(EncoderProperty, RecomputedLayersGiveTheSameGradientsBitForBit) {
  const at::Tensor ids = random_ids(random_, 3, 10);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const auto gradients = [&](Recompute recompute) {
      TinyModel model(GetParam(), {}, type);
      at::manual_seed(5);
      const at::Tensor states = model.encoder->encode_at(
          {.ids = ids}, test::ids_of({1, 4, 12}), {.dropout = {.probability = 0.2, .key = 7}, .recompute = recompute});
      model.encoder->masked_lm_loss(states, test::ids_of({3, 9, 27})).backward();
      return model.parameters.gradients().clone();
    };
    const at::Tensor kept = gradients(Recompute::kNever);
    EXPECT_GT(kept.abs().max().item<double>(), 0.1);
    EXPECT_TRUE(test::same_bits(gradients(Recompute::kPerLayer), kept));
  }
}

// Layer 0 is global and the last two are local: with its output projection at zero, nothing comes from further away than
// the reach of both.
TEST(Encoder, DistantTokensAreOutOfReachOfLocalLayers) {
  TinyModel model(kLocal);
  model.parameters.assign("model.layers.0.attn.Wo.weight", at::zeros({16, 16}));
  util::RandomStream random(6);
  const at::Tensor ids = random_ids(random, 1, 12);
  const at::Tensor other = ids.clone();
  other[0][0] = (ids[0][0] + 1).remainder(40);
  const at::Tensor change =
      (model.encoder->encode({.ids = ids}) - model.encoder->encode({.ids = other})).abs().amax(2)[0];  // [seq]
  for (int64_t position = 0; position < 12; ++position) {
    const double moved = change[position].item<double>();
    EXPECT_EQ(moved > 1e-4, position <= 4) << position << ": " << moved;
    EXPECT_TRUE(position <= 4 || moved == 0.0) << position << ": " << moved;
  }
}

TEST(Encoder, TheMeanIsOfTheTokensThatAreNoPadding) {
  util::RandomStream random(7);
  const Padded rows(random, {4, 1, 6});
  const at::Tensor states = test::random_tensor(random, {3, 6, 5}).to(at::kFloat);
  const at::Tensor means = mean_of_tokens(states, rows.input);
  const EncoderInput flat = rows.flat();
  std::vector<at::Tensor> parts;
  for (int64_t row = 0; row < 3; ++row) {
    parts.push_back(states.select(0, row).narrow(0, 0, rows.lengths[static_cast<size_t>(row)]));
    EXPECT_TRUE(near(means.select(0, row), parts.back().mean(0), 1e-6)) << row;
  }
  EXPECT_TRUE(near(mean_of_tokens(at::cat(parts).unsqueeze(0), flat), means, 1e-6));
  const at::Tensor firsts = at::cat(parts).index_select(0, first_positions(flat));
  EXPECT_TRUE(near(firsts, states.select(1, 0), 0));
  EXPECT_TRUE(near(states.flatten(0, 1).index_select(0, first_positions(rows.input)), states.select(1, 0), 0));
  EXPECT_TRUE(near(mean_of_tokens(states, {.ids = rows.input.ids}), states.mean(1), 1e-6));
}

TEST(Encoder, SequencesThatDoNotFillTheRowAreRefused) {
  const TinyModel model(kBert);
  for (const std::vector<int64_t>& starts :
       std::vector<std::vector<int64_t>>{{0}, {0, 3}, {1, 4}, {0, 2, 2, 4}, {0, 5}}) {
    EXPECT_THROW(model.encoder->encode({.ids = at::zeros({1, 4}, at::kInt), .cu_seqlens = starts}), ShapeError);
  }
  EXPECT_THROW(model.encoder->encode({.ids = at::zeros({2, 4}, at::kInt), .cu_seqlens = {0, 4}}), ShapeError);
  EXPECT_NO_THROW(model.encoder->encode({.ids = at::zeros({1, 4}, at::kInt), .cu_seqlens = {0, 1, 4}}));
}

// One row of 30 tokens is too long for 12 positions; the same tokens as sequences of 10 are not.
TEST(Encoder, PositionsAreCountedWithinEachSequence) {
  const TinyModel model(kBert);
  const at::Tensor ids = at::zeros({1, 30}, at::kInt);
  EXPECT_THROW(model.encoder->encode({.ids = ids}), DataError);
  EXPECT_NO_THROW(model.encoder->encode({.ids = ids, .cu_seqlens = {0, 10, 20, 30}}));
}

TEST(Encoder, DropoutFollowsItsKey) {
  util::RandomStream random(4);
  const TinyModel model(kBert);
  const EncoderInput input = {.ids = random_ids(random, 2, 6)};
  const auto encode = [&](uint64_t key) {
    return model.encoder->encode(input, {.dropout = {.probability = 0.5, .key = key}});
  };
  EXPECT_TRUE(test::same_bits(encode(1), encode(1)));
  EXPECT_FALSE(test::same_bits(encode(1), encode(2)));
}

}  // namespace
}  // namespace bertcram::model
