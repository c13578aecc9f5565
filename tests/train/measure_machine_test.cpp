// What a plan is told of this machine's kernels.

#include "bertcram/train/measure_machine.h"

#include <gtest/gtest.h>

#include "nn/with_fusing.h"

namespace bertcram::train {
namespace {

TEST(MeasuredMachine, SaysWhetherProductsAreOursToo) {
  if (!nn::has_bf16_kernels()) {
    GTEST_SKIP() << "needs AVX-512 BF16, and own kernels on";
  }
  const config::RuntimeConfig runtime = {.device = config::DeviceKind::kCpu, .precision = config::Precision::kBf16};
  for (const nn::Fusing choice : {nn::Fusing::kWhereFaster, nn::Fusing::kEverywhere, nn::Fusing::kOff}) {
    const test::WithFusing fusing(choice);
    const plan::Machine machine = measure_machine(runtime);
    EXPECT_EQ(machine.has_kernels, choice != nn::Fusing::kOff);
    EXPECT_EQ(machine.has_product_kernels, nn::uses_bf16_products());
    EXPECT_EQ(machine.sums_gradients, nn::uses_bf16_products());
  }
}

}  // namespace
}  // namespace bertcram::train
