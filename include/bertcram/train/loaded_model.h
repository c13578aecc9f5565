#pragma once
// A model folder, ready to compute.

#include <memory>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/model/encoder.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/train/runtime.h"

namespace bertcram::train {

/// Its members refer to each other: it stays where it was made.
class LoadedModel {
 public:
  /// Reads the weights. @param head  that of the folder, or none for the encoder alone
  /// @throws DataError if they are missing, damaged, or do not fit
  LoadedModel(const checkpoint::ModelDirectory& source, const model::Head& head, const Runtime& runtime);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  const model::EncoderShape& shape() const { return encoder_->shape(); }
  const model::Encoder& encoder() const { return *encoder_; }
  const nn::Parameters& parameters() const { return parameters_; }

 private:
  nn::Parameters parameters_;
  std::unique_ptr<model::Encoder> encoder_;
};

}  // namespace bertcram::train
