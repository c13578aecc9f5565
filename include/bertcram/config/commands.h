#pragma once
// The commands that have a configuration.

#include "bertcram/config/embed_config.h"
#include "bertcram/config/eval_config.h"
#include "bertcram/config/finetune_config.h"
#include "bertcram/config/pack_config.h"
#include "bertcram/config/predict_config.h"
#include "bertcram/config/pretrain_config.h"
#include "bertcram/config/tokenize_config.h"

namespace bertcram::config {

/// Calls visit(name, configuration of defaults) for each of them, in the order of use.
template <class Visit>
void for_each_command(Visit visit) {
  visit("pretrain", PretrainConfig());
  visit("finetune-glue", FinetuneConfig());
  visit("tokenize", TokenizeConfig());
  visit("pack", PackConfig());
  visit("eval", EvalConfig());
  visit("embed", EmbedConfig());
  visit("fill-mask", FillMaskConfig());
  visit("predict", PredictConfig());
}

}  // namespace bertcram::config
