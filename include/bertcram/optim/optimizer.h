#pragma once
// The update of a model's flat buffers: clipping by the global norm, then AdamW (Kingma & Ba 2015; Loshchilov & Hutter
// 2019), or Muon for the matrices between hidden states and AdamW for the rest.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "bertcram/config/train_config.h"
#include "bertcram/nn/adamw_step.h"
#include "bertcram/nn/parameters.h"

namespace bertcram::optim {

/// What happened in one update.
struct StepReport {
  double gradient_norm = 0;  ///< global L2 norm before clipping, of the mean gradient
  bool is_finite = true;     ///< false: the update was skipped; only the gradient is gone
};

class Optimizer {
 public:
  Optimizer(nn::Parameters& parameters, const config::OptimConfig& config);

  /// One update from the flat gradient: divides it by `divisor` (the batch's predictions, times the scale of the loss),
  /// clips its global norm, moves masters and moments, refreshes the compute copy and clears the gradient.
  StepReport step(double learning_rate, double divisor);

  int64_t steps_done() const { return steps_done_; }
  at::Tensor& first_moments() { return first_moments_; }    ///< layout of parameters.masters()
  at::Tensor& second_moments() { return second_moments_; }  ///< likewise; zero where Muon works
  void restore_steps(int64_t steps_done) { steps_done_ = steps_done; }

 private:
  void update_by_adamw(nn::FlatRange range, const nn::AdamwStep& step);
  void update_by_muon(double learning_rate);
  void finish(nn::FlatRange range);

  nn::Parameters& parameters_;
  config::OptimConfig config_;
  at::Tensor first_moments_;
  at::Tensor second_moments_;
  int64_t steps_done_ = 0;
};

}  // namespace bertcram::optim
