#pragma once
// One fine-tuning run: a model, a task's examples, a recipe and a seed → a trained classifier.

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/model/encoder.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/task_runner.h"
#include "bertcram/util/stop.h"
#include "trainable_weights.h"

namespace bertcram::train {

inline constexpr double kUnitSaveSeconds = 600;

/// What a unit trains on; all must outlive it.
struct UnitPlan {
  const glue::TaskSpec& task;
  const EncodedSplit& train;
  glue::FinetuneRecipe recipe;  ///< one learning rate
  int64_t seed = 0;
  int64_t micro_rows = 0;                  ///< examples per pass; 0 = the whole batch while it fits
  std::string name;                        ///< for the log, e.g. "rte seed 0"
  double save_seconds = kUnitSaveSeconds;  ///< training time between two checkpoints: what a crash costs at most
};

/// Which weights a unit starts from; the model must outlive it.
struct UnitStart {
  const checkpoint::ModelDirectory& model;  ///< whose shape and tokenizer it has
  std::filesystem::path weights;            ///< folder of the encoder's weights; empty: random ones
  std::string weights_hash;                 ///< that they have to have; empty: any
  int64_t max_tokens = 0;                   ///< that texts are cut to
};

/// Trains by the recipe. Bit for bit the same for a seed and a number of threads on the CPU, through interruptions too.
class UnitTrainer {
 public:
  /// Loads the weights; the classifier's are drawn from the seed. @throws ModelChangedError, other DataErrors
  UnitTrainer(const UnitPlan& plan, const UnitStart& start, const Runtime& runtime);
  UnitTrainer(const UnitTrainer&) = delete;
  UnitTrainer& operator=(const UnitTrainer&) = delete;

  /// Continues from the newest valid checkpoint in the folder, if there is one, and saves into it now and then. Damaged
  /// ones go. @throws UnreadableError for one that may be fine; ModelChangedError
  void use_checkpoints(const std::filesystem::path& folder);

  /// Trains to the end of an epoch: one that it has reached already is no work.
  /// @param examples_done  told of each batch
  /// @return false when asked to stop on the way, also between two passes: then the last whole step is saved
  /// @throws DivergedError; ResourceError if the state cannot be saved; what with_back_off throws without memory
  bool train_epoch(int64_t epoch, const util::StopFlag& stop, const std::function<void(int64_t)>& examples_done);

  /// Writes a checkpoint, if there is a folder for them. @throws ResourceError: who stops then loses what was done
  void save();

  /// What the bits depend on besides the plan: device, threads, number format, and how a batch is divided.
  std::string circumstances() const;
  int64_t steps_done() const { return weights_.position.step; }
  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  double seconds() const { return weights_.position.elapsed_seconds; }
  const model::Encoder& encoder() const { return *encoder_; }
  nn::Parameters& parameters() { return weights_.parameters; }
  const model::Head& head() const { return head_; }

 private:
  /// Gives the weights the values that they have before the first step.
  void begin();
  /// @return whether the checkpoint is of use; if not, the unit is as it was before its first step
  bool try_load(const std::filesystem::path& checkpoint);
  /// @return false if a stop came between two passes: nothing has changed then
  bool step(const std::vector<int64_t>& batch, const util::StopFlag& stop);
  /// save(), but what goes wrong is logged: the unit can still be finished.
  void try_save();
  bool accumulate(std::span<const int64_t> batch, uint64_t key, const util::StopFlag& stop);

  UnitPlan plan_;
  UnitStart start_;
  Runtime runtime_;
  model::Head head_;
  TrainableWeights weights_;
  std::unique_ptr<model::Encoder> encoder_;
  checkpoint::Passes passes_;
  int64_t steps_per_epoch_;
  std::filesystem::path checkpoints_;
  double saved_seconds_ = 0;
};

}  // namespace bertcram::train
