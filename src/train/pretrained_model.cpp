#include "pretrained_model.h"

#include "bertcram/checkpoint/weights.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;

/// Whether the folder's weights have the hash; not if they are gone, or half replaced.
bool has_weights(const fs::path& folder, const std::string& hash) {
  try {
    return checkpoint::weights_hash(folder) == hash;
  } catch (const UnreadableError&) {
    throw;  // they may be fine
  } catch (const DataError&) {
    return false;
  }
}

void refuse_others(const fs::path& folder, const std::string& hash) {
  if (!hash.empty() && !has_weights(folder, hash)) {
    throw ModelChangedError(
        cat("--model ", folder.string(),
            ": the model changed while it was fine-tuned. What is done is kept, and is of the model "
            "as it was: put that back, and the same command goes on, or choose another --output"));
  }
}

}  // namespace

PretrainedModel open_pretrained_model(const fs::path& folder) {
  PretrainedModel model = {.directory = checkpoint::open_model_directory(folder), .weights_hash = {}};
  model.weights_hash = checkpoint::weights_hash(folder);
  return model;
}

void load_start_weights(const fs::path& folder, const std::string& hash, nn::Parameters& parameters) {
  try {
    checkpoint::load_weights(folder, parameters, checkpoint::Strictness::kEncoderOnly);
  } catch (const DataError&) {
    refuse_others(folder, hash);  // others may not even fit
    throw;
  }
  refuse_others(folder, hash);  // behind the loading: what was changed before it is seen
}

}  // namespace bertcram::train
