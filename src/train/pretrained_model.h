#pragma once
// The model that the runs of finetune-glue start from. Each run loads its weights anew, hours after the first one, and a
// pretrain may have written others meanwhile.

#include <filesystem>
#include <string>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/util/error.h"

namespace bertcram::train {

struct PretrainedModel {
  checkpoint::ModelDirectory directory;
  std::string weights_hash;  ///< checkpoint::weights_hash as it was opened
};

/// @throws DataError
PretrainedModel open_pretrained_model(const std::filesystem::path& folder);

/// The weights are no longer those that the command began with: it ends, whatever else a run's DataError leads to.
class ModelChangedError : public DataError {
 public:
  using DataError::DataError;
};

/// Fills the encoder's parameters.
/// @param hash  that the folder's weights have to have; empty: any  @throws ModelChangedError, other DataErrors
void load_start_weights(const std::filesystem::path& folder, const std::string& hash, nn::Parameters& parameters);

}  // namespace bertcram::train
