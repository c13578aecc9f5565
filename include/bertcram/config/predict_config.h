#pragma once

#include "bertcram/config/train_config.h"

namespace bertcram::config {

/// Options of `bertcram predict`.
struct PredictConfig {
  std::string model;
  int64_t max_tokens = 0;
  RuntimeConfig runtime;

  void visit(FieldVisitor& v) {
    v("model", model, "folder of a fine-tuned model, of bertcram or Hugging Face");
    v("max_tokens", max_tokens,
      "longer texts are cut to this; 0 = as in fine-tuning, or where the folder does not say that, the model's "
      "positions",
      InRange{0, 1'000'000});
    v.section("runtime", runtime);
  }
};

}  // namespace bertcram::config
