#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/config/finetune_config.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/glue/unit.h"
#include "bertcram/train/runtime.h"
#include "bertcram/util/stop.h"
#include "finetune_plan.h"
#include "unit_trainer.h"

namespace bertcram::train {

/// Where a run begins and what it leaves.
struct UnitPaths {
  std::filesystem::path weights = {};  ///< folder of the encoder's weights; empty: random ones
  std::string weights_hash = {};       ///< that they have to have; empty: any
  std::filesystem::path folder = {};   ///< of the unit
  bool keeps_model = false;
  double save_seconds = kUnitSaveSeconds;  ///< training time between two checkpoints
};

/// Who has trained on examples.
enum class Session { kEarlier, kThis };

/// Told of examples that a run has behind it.
using ExamplesDone = std::function<void(int64_t examples, Session session)>;

/// Runs units: training, scores on the dev sets, files. Several may run at the same time.
class UnitRunner {
 public:
  static constexpr const char* kModelFolder = "model";
  static constexpr const char* kCheckpointFolder = "checkpoints";

  /// All must outlive it.
  UnitRunner(const config::FinetuneConfig& config, const glue::Protocol& protocol,
             const checkpoint::ModelDirectory& model, const util::StopFlag& stop)
      : config_(config), protocol_(protocol), model_(model), stop_(stop) {}

  /// Trains a unit, from its checkpoint if it was begun, and leaves predictions and model in its folder; not unit.json.
  /// @param examples_done  told of each batch, and at first of all that earlier sessions of an interrupted run did
  /// @throws ModelChangedError, other DataErrors, DivergedError, ResourceError, util::StoppedError
  glue::UnitRecord run(const glue::UnitId& id, const LoadedTask& task, const UnitPaths& paths, const Runtime& runtime,
                       const ExamplesDone& examples_done);

 private:
  /// The weights that count, and what they say of the dev sets.
  struct Best {
    int64_t epoch = 0;  ///< from 1
    double score = 0;
    at::Tensor masters = {};  ///< of an epoch that is not the last
    std::vector<std::vector<float>> outputs = {};
    std::vector<glue::SplitScores> scores = {};
  };
  /// Scores the weights as they are; nullopt when asked to stop on the way.
  std::optional<Best> look(const LoadedTask& task, const std::string& name, int64_t epoch, UnitTrainer& trainer) const;
  /// Keeps the weights as they are beside the checkpoints, instead of those of an earlier epoch. That they cannot be written
  /// is logged.
  void keep(const Best& best, const std::filesystem::path& checkpoints, UnitTrainer& trainer);
  /// Looks once more at what was kept, and gives the trainer its own weights back; nullopt if it is not there, or damaged.
  /// @throws UnreadableError if it may be fine
  std::optional<Best> recall(const LoadedTask& task, const std::filesystem::path& checkpoints,
                             UnitTrainer& trainer) const;
  /// Writes predictions and model, and completes the scores.
  void leave(const LoadedTask& task, const UnitPaths& paths, UnitTrainer& trainer, Best& best);
  void write_model(const std::filesystem::path& folder, UnitTrainer& trainer);
  [[noreturn]] void throw_stopped() const;

  const config::FinetuneConfig& config_;
  const glue::Protocol& protocol_;
  const checkpoint::ModelDirectory& model_;
  const util::StopFlag& stop_;
  std::mutex saving_;  ///< the tokenizer is shared
};

}  // namespace bertcram::train
