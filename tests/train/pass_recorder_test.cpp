// Passes recorded as CUDA graphs against the same passes kernel by kernel: label gpu, skipped where there is none.

#include "train/pass_recorder.h"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include "bertcram/train/masked_lm.h"
#include "bertcram/util/error.h"
#include "bertcram/util/shared_library.h"
#include "nn/tensor_support.h"
#include "train/gpu_support.h"
#include "train/pretrain_support.h"
#include "train/run_data.h"
#include "train/train_step.h"

namespace bertcram::train {
namespace {

TEST(PassRecorder, RecordsNothingOnACpu) { EXPECT_FALSE(PassRecorder(at::kCPU).is_on()); }

TEST(PassRecorder, HandsThePassItsScaleFromTheFirstOn) {
  const data::MaskedBatch batch = {.rows = 1, .seq_len = 2, .ids = {5, 6}, .positions = {1}, .targets = {6}};
  alignas(PassRecorder) std::array<std::byte, sizeof(PassRecorder)> memory;
  memory.fill(std::byte{0x3f});  // as a double 4.8e-4: what is not set shows
  const auto recorder = std::unique_ptr<PassRecorder, void (*)(PassRecorder*)>(
      new (memory.data()) PassRecorder(at::kCPU), [](PassRecorder* each) { each->~PassRecorder(); });
  for (const double scale : {1.0, 1024.0, 1.0}) {
    recorder->run(batch, 0.15, scale, [&](const BatchTensors&, double mask_prob, const at::Tensor& given) {
      EXPECT_EQ(given.item<double>(), scale);
      EXPECT_EQ(mask_prob, 0.15);
      return BatchLoss();
    });
  }
}

TEST(PassRecorder, SaysWhyItCannotRecordWhereItIsAskedTo) {
  if (util::find_function(kCudaGraphLibrary, kGetCudaGraphs).address != nullptr) {
    GTEST_SKIP() << kCudaGraphLibrary << " can be loaded here";
  }
  ::setenv("BERTCRAM_CUDA_GRAPHS", "on", 1);
  EXPECT_THROW(PassRecorder(at::Device(at::kCUDA, 0)), ResourceError);
  EXPECT_NO_THROW(PassRecorder(at::kCPU));
  ::unsetenv("BERTCRAM_CUDA_GRAPHS");
}

class GpuPassRecorder : public test::PretrainTest {
 protected:
  void SetUp() override {
    if (const auto reason = test::reason_without_gpu()) {
      GTEST_SKIP() << *reason;
    }
    ::setenv("BERTCRAM_CUDA_GRAPHS", "on", 1);
    if (const auto found = util::find_function(kCudaGraphLibrary, kGetCudaGraphs); found.address == nullptr) {
#ifdef BERTCRAM_WITH_CUDA
      FAIL() << found.problem;  // it was built
#else
      GTEST_SKIP() << found.problem;
#endif
    }
  }
  void TearDown() override { ::unsetenv("BERTCRAM_CUDA_GRAPHS"); }

  struct Outcome {
    std::vector<double> losses;
    at::Tensor first_weights;
    at::Tensor weights;
  };

  /// Eight steps of rows that do not divide evenly, so that passes have two shapes, with recordings forgotten on the way.
  Outcome train(config::PretrainConfig config, bool is_recorded) {
    ::setenv("BERTCRAM_CUDA_GRAPHS", is_recorded ? "on" : "off", 1);
    config.runtime.device = config::DeviceKind::kCuda;
    config.batch.micro_rows = 4;
    const Runtime runtime = set_up_runtime(config.runtime);
    const data::MaskedBatches batches(
        data_.train, masking_options(data_.tokenizer->special(), data_.manifest.vocab_size, config.mask), 4,
        data::RowOrder::kShuffled);
    const auto shape = model::make_shape(config.model, data_.manifest.vocab_size, data_.tokenizer->special().pad);
    TrainingState state(config, shape, runtime);
    TrainStep step(config, runtime, batches, state);
    step.choose_passes({});
    EXPECT_EQ(step.records(), is_recorded);
    Outcome outcome;
    outcome.first_weights = state.parameters.masters().cpu().clone();
    for (int i = 0; i < 8; ++i) {
      const auto figures = step.run({.learning_rate = 0.01, .rows = 10, .mask_prob = 0.15}, never_);
      outcome.losses.push_back(figures->loss);
      if (i == 3) {
        step.release_memory();
      }
    }
    outcome.weights = state.parameters.masters().cpu();
    return outcome;
  }

  void expect_the_same(const config::PretrainConfig& config) {
    const Outcome recorded = train(config, true);
    const Outcome plain = train(config, false);
    EXPECT_EQ(recorded.losses, plain.losses);
    EXPECT_TRUE(test::same_bits(recorded.weights, plain.weights));
    EXPECT_FALSE(test::same_bits(recorded.weights, recorded.first_weights)) << "were there gradients?";
  }

  RunData data_{scratch_ / "packed"};
  util::StopFlag never_;
};

TEST_F(GpuPassRecorder, GivesTheSameBits) {
  for (const auto precision : {config::Precision::kFp32, config::Precision::kBf16, config::Precision::kFp16}) {
    SCOPED_TRACE(static_cast<int>(precision));
    auto config = config_for("run", precision);
    config.model.dropout = 0;
    expect_the_same(config);
  }
}

TEST_F(GpuPassRecorder, DrawsTheSameDropout) {
  auto config = config_for("run", config::Precision::kFp32);
  config.model.dropout = 0.1;
  expect_the_same(config);
}

TEST_F(GpuPassRecorder, DrawsTheSameReplacedTokens) {
  auto config = config_for("run", config::Precision::kFp32);
  config.objective = config::Objective::kRtd;
  config.model.dropout = 0;
  expect_the_same(config);
}

}  // namespace
}  // namespace bertcram::train
