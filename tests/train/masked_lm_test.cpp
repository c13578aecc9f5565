// Masked language modelling on batches: accumulation changes nothing, and a small model learns.

#include "bertcram/train/masked_lm.h"

#include <cmath>
#include <numeric>

#include "bertcram/model/parameter_specs.h"
#include "bertcram/optim/optimizer.h"
#include "bertcram/train/objective.h"
#include "data/packing_support.h"
#include "nn/tensor_support.h"
#include "train/batch_tensors.h"

namespace bertcram::train {
namespace {

constexpr int64_t kSeq = 16;
const model::EncoderShape kTiny = {
    .vocab = 57, .hidden = 32, .layers = 2, .heads = 4, .ffn = 64, .max_positions = kSeq};

/// Rows of random letters of which each has another number of predictions.
data::MaskedBatch random_batch(util::RandomStream& random, int64_t rows) {
  data::MaskedBatch batch{.rows = rows, .seq_len = kSeq};
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < kSeq; ++i) {
      const auto id = static_cast<int32_t>(5 + random.below(52));
      const bool is_predicted = i % (row + 2) == 1;
      batch.ids.push_back(is_predicted ? 4 : id);
      if (is_predicted) {
        batch.positions.push_back(row * kSeq + i);
        batch.targets.push_back(id);
      }
    }
  }
  return batch;
}

/// Rows [first, first + rows) of a batch.
data::MaskedBatch part_of(const data::MaskedBatch& batch, int64_t first, int64_t rows) {
  data::MaskedBatch part{.rows = rows, .seq_len = batch.seq_len};
  part.ids.assign(batch.ids.begin() + first * kSeq, batch.ids.begin() + (first + rows) * kSeq);
  for (size_t i = 0; i < batch.positions.size(); ++i) {
    const int64_t position = batch.positions[i] - first * kSeq;
    if (position >= 0 && position < rows * kSeq) {
      part.positions.push_back(position);
      part.targets.push_back(batch.targets[i]);
    }
  }
  return part;
}

struct TinyModel {
  explicit TinyModel(at::ScalarType type)
      : parameters(model::parameter_specs(kTiny, {}), type, at::kCPU),
        objective(make_objective({}, kTiny, parameters)) {
    parameters.initialise(5, 0.1);
  }
  /// Summed over the batch, in nats.
  at::Tensor loss(const data::MaskedBatch& batch) const {
    return objective->loss(tensors_of(batch, at::kCPU), /*mask_prob=*/0, {}).total;
  }
  nn::Parameters parameters;
  std::unique_ptr<Objective> objective;
};

at::Tensor gradient_of(const data::MaskedBatch& batch, int64_t micro_rows, at::ScalarType type) {
  TinyModel model(type);
  for (int64_t first = 0; first < batch.rows; first += micro_rows) {
    model.loss(part_of(batch, first, micro_rows)).backward();
  }
  return model.parameters.gradients();
}

TEST(GradientAccumulationProperty, MicroBatchesGiveTheGradientOfTheWholeBatch) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const data::MaskedBatch batch = random_batch(random, 8);  // 8, 5, 4, 3, 3, 2, 2, 2 predictions
  const at::Tensor whole = gradient_of(batch, 8, at::kFloat);
  const double size = whole.abs().max().item<double>();
  EXPECT_GT(size, 0.1);
  EXPECT_TRUE(test::near(gradient_of(batch, 2, at::kFloat), whole, 1e-5 * size));
  EXPECT_TRUE(test::near(gradient_of(batch, 1, at::kFloat), whole, 1e-5 * size));
  EXPECT_TRUE(test::near(gradient_of(batch, 2, at::kBFloat16), whole, 0.1 * size));
}

TEST(MaskedLm, ATinyModelLearnsOneBatchByHeart) {
  util::RandomStream random(1);
  const data::MaskedBatch batch = random_batch(random, 8);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    TinyModel model(type);
    optim::Optimizer optimizer(model.parameters, {.weight_decay = 0.0});
    const auto masked = static_cast<double>(batch.targets.size());
    double first = 0;
    double last = 0;
    for (int step = 0; step < 150; ++step) {
      const at::Tensor loss = model.loss(batch);
      loss.backward();
      optimizer.step(5e-3, masked);
      last = loss.item<double>() / masked;
      first = step == 0 ? last : first;
    }
    EXPECT_GT(first, 3.0);  // ln 57 is 4.0
    EXPECT_LT(last, 0.1) << type;
  }
}

TEST(MaskingOptions, SpecialTokensAreNeverPredicted) {
  const auto options = masking_options({.pad = 9, .unk = 8, .cls = 7, .sep = 6, .mask = 5}, 100, {.mask_prob = 0.2});
  EXPECT_EQ(options.special_ids, (std::vector<int32_t>{9, 8, 7, 6, 5}));
  EXPECT_EQ(options.mask_id, 5);
  EXPECT_EQ(options.vocab_size, 100);
  EXPECT_EQ(options.mask_prob, 0.2);
}

/// Packed rows and a model whose output is uniform but for the bias.
class HeldOutTest : public ::testing::Test {
 protected:
  HeldOutTest() : model_(at::kFloat) {
    config::PackConfig config;
    config.input = {scratch_.write("text", test::joined(test::random_documents(3, 60))).string()};
    config.output = (scratch_ / "packed").string();
    config.seq_len = kSeq;
    config.valid_frac = 0;
    config.threads = 1;
    test::pack(config);
    const auto manifest = data::read_packed_manifest(config.output);
    rows_.emplace(config.output, manifest.train_shards, manifest);
    batches_.emplace(*rows_, masking_options(test::tiny_tokenizer().special(), 57, {}), 0, data::RowOrder::kStored);
  }

  test::ScratchDirectory scratch_;
  util::StopFlag stop_;
  TinyModel model_;
  std::optional<data::RowStore> rows_;
  std::optional<data::MaskedBatches> batches_;
};

TEST_F(HeldOutTest, AModelThatKnowsNothingScoresTheLogarithmOfTheVocabulary) {
  model_.parameters.masters().zero_();
  const HeldOutScores scores =
      evaluate_masked_lm(model_.objective->masked_lm(), *batches_, 20, 7, at::kCPU, stop_).value();
  EXPECT_EQ(scores.masked_tokens, 20 * 2);  // 0.15 * 16 = 2.4
  EXPECT_NEAR(scores.loss, std::log(57.0), 1e-5);
  EXPECT_NEAR(scores.perplexity(), 57.0, 1e-3);
  EXPECT_EQ(scores.accuracy, 0.0);  // always says [PAD]
}

TEST_F(HeldOutTest, PassesOfAnySizeGiveTheSameScores) {
  const HeldOutScores whole =
      evaluate_masked_lm(model_.objective->masked_lm(), *batches_, 20, 20, at::kCPU, stop_).value();
  for (const int64_t micro_rows : {1, 3, 100}) {
    const HeldOutScores parts =
        evaluate_masked_lm(model_.objective->masked_lm(), *batches_, 20, micro_rows, at::kCPU, stop_).value();
    EXPECT_NEAR(parts.loss, whole.loss, 1e-5);
    EXPECT_EQ(parts.accuracy, whole.accuracy);
    EXPECT_EQ(parts.masked_tokens, whole.masked_tokens);
  }
}

TEST_F(HeldOutTest, AStopEndsIt) {
  util::StopFlag stop;
  stop.request(2);
  EXPECT_FALSE(evaluate_masked_lm(model_.objective->masked_lm(), *batches_, 20, 5, at::kCPU, stop).has_value());
}

}  // namespace
}  // namespace bertcram::train
