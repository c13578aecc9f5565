// Sums of fp16 products in fp16: refused where they mean nothing, and on a GPU no worse a curve than with sums in fp32.

#include <gtest/gtest.h>

#include "bertcram/nn/fp16_accumulation.h"
#include "bertcram/train/runtime.h"
#include "bertcram/util/error.h"
#include "train/gpu_support.h"
#include "train/pretrain_support.h"

namespace bertcram::train {
namespace {

using config::DeviceKind;
using config::Precision;

TEST(Fp16AccumulationChoice, IsRefusedOnACpu) {
  const std::string message = test::message_of<ConfigError>(
      [] { set_up_runtime({.device = DeviceKind::kCpu, .precision = Precision::kFp32, .fp16_accumulation = true}); });
  EXPECT_TRUE(test::contains(message, "runtime.fp16_accumulation is for runtime.precision=fp16 on a GPU; this is cpu"))
      << message;
}

class GpuFp16Accumulation : public test::PretrainTest {
 protected:
  void SetUp() override {
    if (const auto reason = test::reason_without_gpu()) {
      GTEST_SKIP() << *reason;
    }
  }
  void TearDown() override { nn::set_fp16_accumulation(false); }

  /// A packed folder of texts that can be learnt: letters in the order of the alphabet, or every second one.
  std::string orderly_data() const {
    std::vector<std::string> documents;
    for (int first = 0; first < 26; ++first) {
      for (int stride = 1; stride <= 2; ++stride) {
        std::string text;
        for (int i = 0; i < 40; ++i) {
          text += {static_cast<char>('a' + (first + i * stride) % 26), ' '};
        }
        documents.push_back(text + "\n");
      }
    }
    return pack_folder("orderly", documents);
  }

  struct Losses {
    double first = 0;
    double last = 0;
  };

  /// On held-out text.
  Losses losses_of(const std::string& name, const std::string& data, bool fp16_accumulation) const {
    config::PretrainConfig config = config_for(name, Precision::kFp16);
    config.data = data;
    config.runtime.device = DeviceKind::kCuda;
    config.runtime.fp16_accumulation = fp16_accumulation;
    config.model.hidden = 64;
    config.model.ffn = 256;
    config.model.dropout = 0;
    config.optim.learning_rate = 3e-3;
    config.batch = {.rows = 32, .micro_rows = 32};
    config.budget.steps = 300;
    config.eval.every_steps = 30;
    config.checkpoint.every_steps = 300;
    run(config);
    std::vector<double> losses;
    for (const auto& line : metrics_of(config)) {
      if (line.contains("eval_loss")) {
        losses.push_back(line["eval_loss"].get<double>());
      }
    }
    return {.first = losses.at(0), .last = losses.back()};
  }
};

TEST_F(GpuFp16Accumulation, LearnsAsWellAsWithSumsInFp32) {
  const std::string data = orderly_data();
  const Losses exact = losses_of("exact", data, false);
  const Losses fast = losses_of("fast", data, true);
  EXPECT_LT(exact.last, exact.first / 2) << "nothing was learnt, so there is nothing to compare";
  EXPECT_NEAR(fast.last, exact.last, 0.05);
}

}  // namespace
}  // namespace bertcram::train
