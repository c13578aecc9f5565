#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/config/pretrain_config.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/train/run_directory.h"
#include "bertcram/util/stop.h"
#include "run_data.h"

namespace bertcram::train {

/// What a run starts from: a model folder (`init_from`), or random weights and what the training data tells.
class Origin {
 public:
  /// A run that was begun goes by what leave_note() wrote: the name, such as `latest`, may lead elsewhere by then, and once
  /// there are checkpoints the folder may be gone.
  /// @throws ConfigError if the rows are longer than the model; DataError if the folder holds no encoder or masked LM of
  /// the data's tokenizer
  Origin(const config::PretrainConfig& config, const RunData& data);

  /// The configuration, with the folder's model in it.
  const config::PretrainConfig& config() const { return config_; }
  const model::EncoderShape& shape() const { return shape_; }

  /// Writes into the run's folder, for later sessions, where the model was found and its shape.
  void leave_note(const RunDirectory& run) const;

  /// Fills freshly drawn weights. REQUIRES: the run has no checkpoints. @return seconds that it took: they belong to the budget
  /// @throws DataError if the folder's weights are not all numbers, util::StoppedError
  double start(const RunData& data, int64_t threads, const util::StopFlag& stop, nn::Parameters& parameters) const;

 private:
  void take_over_folder(const std::string& path, const RunData& data);
  void take_over_shape(const model::EncoderShape& shape);

  config::PretrainConfig config_;
  std::optional<checkpoint::ModelDirectory> folder_;
  model::EncoderShape shape_;
  std::vector<std::string> overruled_;  ///< settings of the model that the folder has otherwise
};

}  // namespace bertcram::train
