#pragma once

#include <filesystem>

#include "bertcram/config/train_config.h"

namespace bertcram::config {

enum class Protocol { kSane, kSeed, kTransfer, kSearch };
constexpr std::array<std::string_view, 4> enum_words(Protocol) { return {"sane", "seed", "transfer", "search"}; }

/// What the encoder starts from.
enum class InitFrom { kModel, kRandom };
constexpr std::array<std::string_view, 2> enum_words(InitFrom) { return {"model", "random"}; }

/// Which fine-tuned models stay on disk.
enum class SaveModels { kNone, kBest, kAll };
constexpr std::array<std::string_view, 3> enum_words(SaveModels) { return {"none", "best", "all"}; }

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
  int64_t seeds = 0;
  int64_t first_seed = 0;
  int64_t epochs = 0;
  int64_t batch_rows = 0;
  int64_t micro_rows = 0;
  int64_t max_tokens = 0;
  double learning_rate = 0.0;
  double dropout = -1.0;
  int64_t jobs = 0;
  SaveModels save_models = SaveModels::kBest;
  bool baseline = false;
  std::string submission;
  bool fill_missing = false;
  int64_t errors = 0;
  bool markdown = false;
  std::string on_event;
  RuntimeConfig runtime;

  void visit(FieldVisitor& v) {
    v("task", task, "GLUE tasks, comma-separated, or all", Untracked{});
    v("task_file", task_file, "YAML description of an own task, instead of --task", Untracked{});
    v("model", model, "model folder, of bertcram or Hugging Face", Untracked{});
    v("data", data, "folder with the tasks; default $BERTCRAM_GLUE_DIR or data/glue", Untracked{});
    v("output", output, "folder for results.json; default: glue beside the model", Untracked{});
    v("protocol", protocol, "named fine-tuning rules");
    v("init", init, "encoder weights: from the model, or random with the model's shape (the baseline)");
    v("seeds", seeds, "fine-tuning runs per task; 0 = protocol", InRange{0, 1000}, Untracked{});
    v("first_seed", first_seed, "seed of the first run; the others follow", InRange{0, 1'000'000'000}, Untracked{});
    v("epochs", epochs, "passes over the training set; 0 = protocol", InRange{0, 10'000});
    v("batch_rows", batch_rows, "examples per optimizer step; 0 = protocol", InRange{0, 1'000'000});
    v("micro_rows", micro_rows, "examples per forward and backward pass; 0 = batch_rows", InRange{0, 1'000'000},
      Untracked{});
    v("max_tokens", max_tokens, "longer examples are cut to this, longest text first; 0 = protocol",
      InRange{0, 1'000'000});
    v("learning_rate", learning_rate, "peak learning rate; 0 = protocol", AtLeast{0.0});
    v("dropout", dropout, "dropout while fine-tuning; -1 = protocol", InRange{-1.0, 0.9});
    v("jobs", jobs, "runs at the same time, which share the threads; auto: on a CPU as many as there are threads",
      InRange{0, 1024}, ZeroIsAuto{}, Untracked{});
    v("save_models", save_models, "fine-tuned models that stay: none, of each task the best, or all", Untracked{});
    v("baseline", baseline, "also score a linear classifier on bags of words, to see what the encoder adds",
      Untracked{});
    v("submission", submission,
      "write this zip of test predictions for the GLUE site; zip: submission.zip beside the "
      "results",
      Untracked{});
    v("fill_missing", fill_missing, "fill what the submission lacks with the most frequent answer", Untracked{});
    v("errors", errors, "so many of each task's most confident mistakes into errors.tsv", InRange{0, 1'000'000},
      Untracked{});
    v("markdown", markdown, "print the table as Markdown", Untracked{});
    v("on_event", on_event,
      "command for /bin/sh that gets a JSON object on its stdin when the run begins, is scored or ends; see "
      "docs/monitoring.md",
      Untracked{}, Private{});
    v.section("runtime", runtime);
  }
};

/// --output, or the folder for results beside the model.
std::filesystem::path results_folder(const FinetuneConfig& config);

/// Model and results where they are now. A link on the way there may lead elsewhere before the command ends, as `runs/latest`
/// does with each run that begins. Paths without links stay as they were given.
FinetuneConfig with_settled_paths(const FinetuneConfig& config);

}  // namespace bertcram::config
