// Replaced-token detection: what is asked, what is answered, what is trained.

#include "bertcram/train/objective.h"

#include <cmath>

#include "bertcram/model/parameter_specs.h"
#include "bertcram/optim/optimizer.h"
#include "bertcram/train/masked_lm.h"
#include "nn/tensor_support.h"
#include "train/pretrain_support.h"
#include "util/test_support.h"

namespace bertcram::train {
namespace {

using config::Arch;
using config::PretrainConfig;

constexpr int64_t kVocab = 31;
constexpr int64_t kSeq = 12;

PretrainConfig config_for(Arch arch) {
  PretrainConfig config;
  config.objective = config::Objective::kRtd;
  config.model.arch = arch;
  config.model.hidden = 32;
  config.model.layers = 3;
  config.model.heads = 4;
  config.model.ffn = 64;
  config.model.max_positions = kSeq;
  config.model.init = config::WeightInit::kBert;
  config.mask.mask_prob = 0.25;
  return config;
}

/// A run's parameters and objective.
struct Trainee {
  explicit Trainee(const PretrainConfig& config, at::ScalarType type = at::kFloat)
      : shape(model::make_shape(config.model, kVocab, 0)),
        parameters(objective_specs(config, shape), type, at::kCPU),
        objective(make_objective(config, shape, parameters)) {
    parameters.initialise(3, 0.1);
  }
  model::EncoderShape shape;
  nn::Parameters parameters;
  std::unique_ptr<Objective> objective;
};

/// Rows of ascending runs of ids, with every fourth token masked (id 1).
data::MaskedBatch ascending_batch(util::RandomStream& random, int64_t rows) {
  data::MaskedBatch batch{.rows = rows, .seq_len = kSeq, .mask_prob = 0.25};
  for (int64_t row = 0; row < rows; ++row) {
    const auto start = static_cast<int32_t>(random.below(kVocab - kSeq - 2));
    for (int32_t i = 0; i < kSeq; ++i) {
      const bool is_masked = i % 4 == 1;
      batch.ids.push_back(is_masked ? 1 : 2 + start + i);
      if (is_masked) {
        batch.positions.push_back(row * kSeq + i);
        batch.targets.push_back(2 + start + i);
      }
    }
  }
  return batch;
}

class ReplacedTokens : public ::testing::TestWithParam<Arch> {};
INSTANTIATE_TEST_SUITE_P(Architectures, ReplacedTokens, ::testing::Values(Arch::kBert, Arch::kModern),
                         [](const auto& arch) { return arch.param == Arch::kBert ? "bert" : "modern"; });

TEST_P(ReplacedTokens, TheObjectiveIsTheWeightedSumOfBothLosses) {
  util::RandomStream random(1);
  const auto batch = ascending_batch(random, 4);
  PretrainConfig config = config_for(GetParam());
  config.rtd.discriminator_weight = 7;
  const Trainee trainee(config);
  at::manual_seed(1);
  const BatchLoss loss = trainee.objective->loss(batch, {});
  EXPECT_NEAR(loss.total.item<double>(), loss.masked_lm.item<double>() + 7 * 0.25 * loss.replaced_tokens.item<double>(),
              1e-3);
  EXPECT_NEAR(loss.masked_lm.item<double>() / 12, std::log(kVocab), 1.0);
  EXPECT_NEAR(loss.replaced_tokens.item<double>() / 48, std::log(2.0), 0.3);
  const double correct = loss.replaced_tokens_correct.item<double>();
  EXPECT_TRUE(correct == std::round(correct) && correct > 0 && correct < 48) << correct;
}

TEST_P(ReplacedTokens, ReachEveryParameterOfBothModels) {
  util::RandomStream random(2);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    Trainee trainee(config_for(GetParam()), type);
    trainee.objective->loss(ascending_batch(random, 4), {}).total.backward();
    for (const nn::NamedTensor& gradient : trainee.parameters.stored_views(trainee.parameters.gradients())) {
      EXPECT_TRUE(gradient.tensor.isfinite().all().item<bool>()) << gradient.name;
      const bool is_key_bias = gradient.name.ends_with("key.bias");  // changes no softmax
      EXPECT_TRUE(is_key_bias || gradient.tensor.abs().max().item<double>() > 1e-6) << gradient.name;
    }
  }
}

// Samples are no function that can be differentiated: the discriminator's loss must not reach the generator's layers.
TEST_P(ReplacedTokens, TheDiscriminatorTeachesTheGeneratorNothingButEmbeddings) {
  util::RandomStream random(3);
  const auto batch = ascending_batch(random, 4);
  const auto generator_gradient = [&](double weight) {
    PretrainConfig config = config_for(GetParam());
    config.rtd.discriminator_weight = weight;
    Trainee trainee(config);
    at::manual_seed(1);
    trainee.objective->loss(batch, {}).total.backward();
    std::vector<at::Tensor> own;
    for (const nn::NamedTensor& gradient : trainee.parameters.stored_views(trainee.parameters.gradients())) {
      if (gradient.name.starts_with(model::kGeneratorPrefix)) {
        own.push_back(gradient.tensor.flatten());
      }
    }
    return at::cat(own);
  };
  EXPECT_TRUE(test::same_bits(generator_gradient(1), generator_gradient(100)));
}

TEST_P(ReplacedTokens, RecomputationChangesNothing) {
  util::RandomStream random(4);
  const auto batch = ascending_batch(random, 3);
  const auto gradient = [&](model::Recompute recompute) {
    Trainee trainee(config_for(GetParam()));
    at::manual_seed(1);
    trainee.objective->loss(batch, {.dropout = {.probability = 0.1, .key = 7}, .recompute = recompute})
        .total.backward();
    return trainee.parameters.gradients().clone();
  };
  EXPECT_TRUE(test::same_bits(gradient(model::Recompute::kPerLayer), gradient(model::Recompute::kNever)));
}

TEST_P(ReplacedTokens, ATinyDiscriminatorLearnsToTellThem) {
  util::RandomStream random(5);
  PretrainConfig config = config_for(GetParam());
  Trainee trainee(config);
  optim::Optimizer optimizer(trainee.parameters, {.weight_decay = 0.0});
  double accuracy = 0;
  for (int step = 0; step < 250; ++step) {
    at::manual_seed(static_cast<uint64_t>(step));
    const auto batch = ascending_batch(random, 16);
    const BatchLoss loss = trainee.objective->loss(batch, {});
    loss.total.backward();
    optimizer.step(2e-3, static_cast<double>(batch.targets.size()));
    accuracy = loss.replaced_tokens_correct.item<double>() / (16 * kSeq);
  }
  EXPECT_GT(accuracy, 0.97) << "the ids of a row ascend: any other token is out of place";
}

/// Packed rows, held out.
class HeldOutReplacedTokens : public test::PretrainTest {};
INSTANTIATE_TEST_SUITE_P(Once, HeldOutReplacedTokens, ::testing::Values(config::Precision::kFp32));

// A model of zeros predicts every token alike and judges every token alike, so that everything can be told by counting.
TEST_P(HeldOutReplacedTokens, AModelThatKnowsNothingIsScoredByCounting) {
  PretrainConfig config = config_for("run");
  config.objective = config::Objective::kRtd;
  const auto manifest = data::read_packed_manifest(config.data);
  const data::RowStore rows(config.data, manifest.train_shards, manifest);
  const auto shape = model::make_shape(config.model, manifest.vocab_size, 0);
  nn::Parameters parameters(objective_specs(config, shape), at::kFloat, at::kCPU);
  parameters.stored("classifier.bias").copy_(at::tensor({0.0F, std::log(3.0F)}));  // three to one for "replaced"
  const auto objective = make_objective(config, shape, parameters);
  const data::MaskedBatches batches(rows, masking_options(test::tiny_tokenizer().special(), manifest.vocab_size, {}), 7,
                                    data::RowOrder::kStored);
  const util::StopFlag stop;
  const HeldOutScores scores = objective->evaluate(batches, 200, 64, stop).value();
  EXPECT_NEAR(scores.loss, std::log(static_cast<double>(manifest.vocab_size)), 1e-4);
  ASSERT_TRUE(scores.replaced_tokens);
  const ReplacedTokenScores& replaced = *scores.replaced_tokens;
  const double tokens = 200.0 * static_cast<double>(manifest.seq_len);
  const double masked_share = static_cast<double>(scores.masked_tokens) / tokens;
  // A sample out of all tokens alike hits the original once in vocab_size times.
  EXPECT_NEAR(replaced.replaced_share, masked_share * (1 - 1.0 / static_cast<double>(manifest.vocab_size)), 0.01);
  EXPECT_NEAR(replaced.accuracy, replaced.replaced_share, 1e-9) << "it says 'replaced' of every token";
  EXPECT_EQ(replaced.found, 1.0);
  EXPECT_NEAR(replaced.loss,
              replaced.replaced_share * std::log(4.0 / 3) + (1 - replaced.replaced_share) * std::log(4.0), 1e-4);
  EXPECT_EQ(objective->evaluate(batches, 200, 64, stop)->replaced_tokens->replaced_share, replaced.replaced_share)
      << "the same samples every time";
  util::StopFlag stopped;
  stopped.request(2);
  EXPECT_FALSE(objective->evaluate(batches, 200, 64, stopped));
}

TEST(Objective, OperationsAreThoseOfAllThatIsTrained) {
  PretrainConfig config = config_for(Arch::kBert);
  const model::WantedShares masked_lm = {.states = config.mask.mask_prob, .decoded = config.mask.mask_prob};
  const Trainee both(config);
  model::EncoderShape generator = both.shape;
  generator.layers = 1;
  EXPECT_EQ(both.objective->flops_per_token(kSeq),
            model::flops_per_token(both.shape, kSeq, {}) + model::flops_per_token(generator, kSeq, masked_lm));
  config.objective = config::Objective::kMlm;
  const Trainee one(config);
  EXPECT_EQ(one.objective->flops_per_token(kSeq), model::flops_per_token(one.shape, kSeq, masked_lm));
}

TEST(Objective, AMaskedLmHasOneModelAndReplacedTokenDetectionTwo) {
  PretrainConfig config = config_for(Arch::kBert);
  const Trainee both(config);
  const auto models = both.objective->models();
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(models[0].head.kind, model::HeadKind::kTokenClassifier);
  EXPECT_EQ(models[0].shape.layers, 3);
  EXPECT_EQ(models[1].head.kind, model::HeadKind::kMaskedLm);
  EXPECT_EQ(models[1].shape.layers, 1) << "a third";
  config.rtd.generator_layers = 2;
  EXPECT_EQ(Trainee(config).objective->models()[1].shape.layers, 2);
  config.objective = config::Objective::kMlm;
  EXPECT_EQ(Trainee(config).objective->models().size(), 1U);
}

}  // namespace
}  // namespace bertcram::train
