#pragma once
// Checkpoints of a training run: a folder `step-N` that exists only when it is complete.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/nn/parameters.h"
#include "bertcram/optim/loss_scaler.h"

namespace bertcram::checkpoint {

/// How a batch is divided into forward and backward passes.
struct Passes {
  int64_t rows = 0;  ///< 0 = not known
  bool recomputes = false;
};

/// Where a run stands, beside its tensors.
struct TrainState {
  int64_t step = 0;             ///< optimizer steps done, skipped ones included
  int64_t samples = 0;          ///< rows consumed: the data cursor; order and masking follow from it and the seed
  int64_t tokens = 0;           ///< tokens trained on
  double elapsed_seconds = 0;   ///< training time of all sessions
  int64_t optimizer_steps = 0;  ///< updates that were not skipped
  std::string config_yaml;      ///< the resolved configuration
  std::string data_id;          ///< identity of the packed data
  std::string runtime;          ///< device, threads and number format of the session that wrote it
  int64_t evaluated_step = 0;   ///< of the last evaluation during training; 0 = none yet
  double evaluated_share = 0;   ///< share of the budget that was used then
  double reserved_seconds = 0;  ///< of a time budget, for the evaluation at its end
  int64_t final_evaluation_step = -1;  ///< step whose last evaluation is in the metrics; -1 = none
  int64_t final_evaluation_rows = 0;   ///< held-out rows of that, or as many as it will take; 0 = all
  int64_t metrics_bytes = 0;           ///< size of metrics.jsonl: what comes later in it is written again
  std::optional<double> eval_loss;     ///< of the last held-out evaluation
  Passes passes;                       ///< of the session that wrote it
  int64_t skipped_steps = 0;           ///< whose gradient was not finite
  double rate_factor = 1.0;            ///< of the learning rate: less than 1 once the run went back after diverging
  optim::LossScale loss_scale;
};

/// The tensors of a run: masters and both moments, under their stored names.
struct TrainTensors {
  std::vector<nn::NamedTensor> masters;
  std::vector<nn::NamedTensor> first_moments;
  std::vector<nn::NamedTensor> second_moments;
};

/// Which checkpoints stay when a new one is written.
struct Retention {
  int64_t newest = 2;        ///< so many
  bool best = false;         ///< the one with the lowest held-out loss, of those that were made where it was measured
  double every_seconds = 0;  ///< the first of each such stretch of training time; 0 = none
};

/// Writes `directory/step-N`: into a temporary folder, each file fsynced and hashed, then renamed; then removes what
/// need not stay. @throws ResourceError; what was there before is untouched then
void save_checkpoint(const std::filesystem::path& directory, const TrainState& state, const TrainTensors& tensors,
                     const Retention& retention);

/// Whether the disk has room for a checkpoint of these; true if that cannot be told.
bool has_room(const std::filesystem::path& directory, const TrainTensors& tensors);
/// Removes what interrupted writes left and then, until there is room, the oldest checkpoints of those that only their
/// age keeps; the newest, the best and those of each stretch stay. @return how many checkpoints went
/// @throws filesystem_error if something cannot be looked at or removed
int64_t make_room(const std::filesystem::path& directory, const TrainTensors& tensors, const Retention& retention);
/// @throws ResourceError if there is none, or if the folder cannot be made
void require_room(const std::filesystem::path& directory, const TrainTensors& tensors);

/// Replaces the state of `directory/step-N`, N = state.step, whose tensors stay as they are. @throws ResourceError;
/// DataError if there is no such checkpoint
void update_state(const std::filesystem::path& directory, const TrainState& state);

/// Removes what interrupted writes left, and the checkpoints that need not stay.
void clean_up(const std::filesystem::path& directory, const Retention& retention);

/// Puts checkpoints behind `step` aside: a run that continues from an older one leaves that branch. They are renamed, so
/// that none is listed any more; the disk has their room back once clean_up or make_room removes what they are now.
/// @throws filesystem_error
void discard_newer(const std::filesystem::path& directory, int64_t step);

/// Complete checkpoints in `directory`, newest first. Folders of interrupted writes are not among them.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& directory);

/// The state alone. @throws DataError if the checkpoint is damaged
TrainState read_state(const std::filesystem::path& checkpoint);

/// Checks the hashes and fills the tensors. @throws DataError if anything is damaged or does not fit
TrainState load_checkpoint(const std::filesystem::path& checkpoint, const TrainTensors& tensors);

}  // namespace bertcram::checkpoint
