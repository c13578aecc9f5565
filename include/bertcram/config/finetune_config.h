#pragma once

#include "bertcram/config/train_config.h"

namespace bertcram::config {

enum class Protocol { kSane };
constexpr std::array<std::string_view, 1> enum_words(Protocol) { return {"sane"}; }

/// What the encoder starts from.
enum class InitFrom { kModel, kRandom };
constexpr std::array<std::string_view, 2> enum_words(InitFrom) { return {"model", "random"}; }

/// Options of `bertcram finetune-glue`. The training values are those of the protocol unless they are set; the result
/// names every value that was.
struct FinetuneConfig {
  std::string task = "all";
  std::string task_file;
  std::string model = "runs/latest/model";
  std::string data;
  std::string output;
  Protocol protocol = Protocol::kSane;
  InitFrom init = InitFrom::kModel;
  int64_t seeds = 5;
  int64_t first_seed = 0;
  int64_t epochs = 0;
  int64_t batch_rows = 0;
  int64_t micro_rows = 0;
  int64_t max_tokens = 0;
  double learning_rate = 0.0;
  double dropout = -1.0;
  bool save_models = false;
  RuntimeConfig runtime;

  void visit(FieldVisitor& v) {
    v("task", task, "GLUE tasks, comma-separated, or all", Untracked{});
    v("task_file", task_file, "YAML description of an own task, instead of --task", Untracked{});
    v("model", model, "model folder, of bertcram or Hugging Face", Untracked{});
    v("data", data, "folder with the tasks; default $BERTCRAM_GLUE_DIR or data/glue", Untracked{});
    v("output", output, "folder for results.json; default: glue beside the model", Untracked{});
    v("protocol", protocol, "named fine-tuning rules");
    v("init", init, "encoder weights: from the model, or random with the model's shape (the baseline)");
    v("seeds", seeds, "fine-tuning runs per task", InRange{1, 1000}, Untracked{});
    v("first_seed", first_seed, "seed of the first run; the others follow", InRange{0, 1'000'000'000}, Untracked{});
    v("epochs", epochs, "passes over the training set; 0 = protocol", InRange{0, 10'000});
    v("batch_rows", batch_rows, "examples per optimizer step; 0 = protocol", InRange{0, 1'000'000});
    v("micro_rows", micro_rows, "examples per forward and backward pass; 0 = batch_rows", InRange{0, 1'000'000},
      Untracked{});
    v("max_tokens", max_tokens, "longer examples are cut to this, longest text first; 0 = protocol",
      InRange{0, 1'000'000});
    v("learning_rate", learning_rate, "peak learning rate; 0 = protocol", AtLeast{0.0});
    v("dropout", dropout, "dropout while fine-tuning; -1 = protocol", InRange{-1.0, 0.9});
    v("save_models", save_models, "write each fine-tuned model to the output folder", Untracked{});
    v.section("runtime", runtime);
  }
};

}  // namespace bertcram::config
