#pragma once
// A configuration and machines to plan with.

#include "bertcram/plan/plan.h"

namespace bertcram::plan {

inline config::PretrainConfig bert_base() {
  config::PretrainConfig config;
  config.model.arch = config::Arch::kBert;
  config.model.hidden = 768;
  config.model.layers = 12;
  config.model.heads = 12;
  config.model.ffn = 3072;
  config.model.max_positions = 128;
  config.mask.mask_prob = 0.15;
  return config;
}

inline Machine card(std::string_view name, config::Precision precision = config::Precision::kAuto,
                    bool has_tf32 = false) {
  config::RuntimeConfig runtime;
  runtime.precision = precision;
  runtime.tf32 = has_tf32;
  return machine_of(*find_card(name), runtime);
}

}  // namespace bertcram::plan
