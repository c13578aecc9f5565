#include "bertcram/optim/loss_scaler.h"

namespace bertcram::optim {
namespace {

constexpr double kFirst = 1024.0;  // losses are sums over the predictions of a pass, not means
constexpr double kSmallest = 1.0;
constexpr double kLargest = 16777216.0;  // 2^24: beyond, the fp32 loss itself could overflow
constexpr int64_t kPatience = 2000;

}  // namespace

LossScaler::LossScaler(at::ScalarType compute_type) : is_active_(compute_type == at::kHalf) {
  scale_.factor = is_active_ ? kFirst : 1.0;
}

bool LossScaler::update(bool is_finite) {
  if (!is_active_) {
    return false;
  }
  if (!is_finite) {
    const bool has_room = scale_.factor > kSmallest;
    scale_ = {.factor = has_room ? scale_.factor / 2 : kSmallest, .good_steps = 0};
    return has_room;
  }
  if (++scale_.good_steps >= kPatience) {
    scale_ = {.factor = scale_.factor < kLargest ? scale_.factor * 2 : kLargest, .good_steps = 0};
  }
  return false;
}

void LossScaler::restore(const LossScale& state) {
  if (is_active_ && state.factor >= kSmallest) {
    scale_ = state;
  }
}

}  // namespace bertcram::optim
