#pragma once
// Own kernels on or off for the time of a test.

#include "bertcram/nn/fused.h"

namespace bertcram::test {

/// While it lives, that is chosen; afterwards what was before.
class WithFusing {
 public:
  explicit WithFusing(nn::Fusing choice) { nn::set_fusing(choice); }
  ~WithFusing() { nn::set_fusing(before_); }
  WithFusing(const WithFusing&) = delete;
  WithFusing& operator=(const WithFusing&) = delete;

 private:
  nn::Fusing before_ = nn::fusing();  // BERTCRAM_FUSED
};

}  // namespace bertcram::test
