#pragma once
// Fixtures for tests of our own kernels: they are on, and the tests are skipped where the processor has no such instructions.

#include <gtest/gtest.h>

#include <string>

#include "nn/kernels/bf16.h"
#include "nn/kernels/fp32.h"
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

/// Why tests of these kernels in fp32 are skipped.
inline const char* lack_of(nn::kernels::InstructionSet instructions) {
  return instructions == nn::kernels::InstructionSet::kAvx2 ? "this processor has no AVX2 with FMA"
                                                            : "this processor has no AVX-512";
}

/// The kernels in fp32, products among them, of one instruction set.
class WithFp32Kernels : public ::testing::TestWithParam<nn::kernels::InstructionSet> {
 public:
  static std::string name_of(const ::testing::TestParamInfo<nn::kernels::InstructionSet>& info) {
    return info.param == nn::kernels::InstructionSet::kAvx2 ? "Avx2" : "Avx512";
  }
  static auto all() {
    return ::testing::Values(nn::kernels::InstructionSet::kAvx2, nn::kernels::InstructionSet::kAvx512);
  }

 protected:
  void SetUp() override {
    nn::kernels::allow_fp32_instructions(GetParam());
    if (nn::kernels::fp32_instructions() != GetParam()) {
      GTEST_SKIP() << lack_of(GetParam());
    }
  }
  void TearDown() override { nn::kernels::allow_fp32_instructions(nn::kernels::InstructionSet::kAvx512); }

 private:
  WithFusing fusing_{nn::Fusing::kEverywhere};
};

}  // namespace bertcram::test
