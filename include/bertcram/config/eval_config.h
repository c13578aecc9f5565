#pragma once

#include "bertcram/config/train_config.h"

namespace bertcram::config {

/// Options of `bertcram eval`: exactly one of data (packed), text, blimp, task with data, or task_file, which needs no data.
struct EvalConfig {
  std::string model = "runs/latest/model";
  std::string data;
  std::string text;
  std::string blimp;
  std::string task;
  std::string task_file;
  double mask_prob = 0.15;
  int64_t rows = 0;
  int64_t micro_rows = 32;
  int64_t seed = 0;
  RuntimeConfig runtime;

  void visit(FieldVisitor& v) {
    v("model", model, "model folder, of bertcram or Hugging Face");
    v("data", data, "folder made by 'bertcram pack' (its held-out rows), or the GLUE folder together with --task");
    v("text", text, "text file (plain, .gz, .xz or .zst): held-out masked-language-model loss on it");
    v("blimp", blimp,
      "folder of BLiMP's *.jsonl: share of the minimal pairs whose acceptable sentence is the likelier one");
    v("task", task, "GLUE task whose dev set a fine-tuned model is scored on");
    v("task_file", task_file, "YAML description of an own task, instead of --task");
    v("mask_prob", mask_prob, "share of a row's tokens that are predicted", InRange{0.01, 0.9});
    v("rows", rows, "rows that are evaluated; 0 = all", AtLeast{0});
    v("micro_rows", micro_rows, "rows per forward pass", AtLeast{1});
    v("seed", seed, "seed of the masking", AtLeast{0});
    v.section("runtime", runtime);
  }
};

}  // namespace bertcram::config
