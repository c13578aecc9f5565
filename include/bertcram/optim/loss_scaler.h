#pragma once
// Loss scaling for fp16, whose gradients would underflow otherwise (Micikevicius et al. 2018, §3.2).

#include <ATen/core/ScalarType.h>

#include <cstdint>

namespace bertcram::optim {

/// What of a LossScaler a checkpoint keeps.
struct LossScale {
  double factor = 0.0;     ///< 0 = none, in other types than fp16
  int64_t good_steps = 0;  ///< since it last changed
};

/// The factor that the loss is multiplied with before the backward pass. In other types than fp16 it is 1 for ever.
class LossScaler {
 public:
  explicit LossScaler(at::ScalarType compute_type);

  double factor() const { return scale_.factor; }
  /// After each step: halves the factor on an overflow, doubles it after 2,000 steps without.
  /// @return whether the overflow was the factor's fault: there was room to halve it
  bool update(bool is_finite);

  LossScale state() const { return is_active_ ? scale_ : LossScale{}; }
  /// A state of another type of arithmetic is left alone.
  void restore(const LossScale& state);

 private:
  bool is_active_;
  LossScale scale_;
};

}  // namespace bertcram::optim
