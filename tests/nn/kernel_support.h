#pragma once
// A fixture for tests of the kernels in bf16: they are on, and the tests are skipped where the processor has no such instructions.

#include <gtest/gtest.h>

#include "nn/kernels/bf16.h"
#include "nn/with_fusing.h"

namespace bertcram::test {

class WithBf16Kernels : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!nn::kernels::has_avx512_bf16()) {
      GTEST_SKIP() << "this processor has no AVX-512 BF16";
    }
  }

 private:
  WithFusing fusing_{nn::Fusing::kEverywhere};
};

}  // namespace bertcram::test
