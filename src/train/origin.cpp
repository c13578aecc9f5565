#include "origin.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/config/resolve.h"
#include "bertcram/model/hub_config.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "data_start.h"
#include "training_state.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;
using config::ModelConfig;

/// What of a shape stands in the configuration.
ModelConfig with_shape(ModelConfig config, const model::EncoderShape& shape) {
  config.arch = shape.arch;
  config.hidden = shape.hidden;
  config.layers = shape.layers;
  config.heads = shape.heads;
  config.ffn = shape.ffn;
  config.max_positions = shape.max_positions;
  config.layer_norm_eps = shape.layer_norm_eps;
  if (shape.arch == config::Arch::kModern) {
    config.global_every = shape.global_every;
    config.local_attention = shape.local_attention;
    config.rope_theta = shape.global_rope_theta;
  }
  return config;
}

/// Fields that were set to something else than what the folder has. "model.hidden: 512 -> 256"
std::vector<std::string> overruled(ModelConfig given, ModelConfig folder) {
  ModelConfig defaults;
  const auto default_fields = config::fields_of(defaults);
  const auto given_fields = config::fields_of(given);
  const auto folder_fields = config::fields_of(folder);
  std::vector<std::string> found;
  for (size_t i = 0; i < given_fields.size(); ++i) {
    if (given_fields[i].text() != default_fields[i].text() && given_fields[i].text() != folder_fields[i].text()) {
      found.push_back(
          cat("model.", given_fields[i].path, " is ", folder_fields[i].text(), " there, not ", given_fields[i].text()));
    }
  }
  return found;
}

/// What an earlier session noted; null if it did not, or if that is damaged.
nlohmann::json read_note(const fs::path& file) {
  if (!fs::exists(file)) {
    return {};
  }
  nlohmann::json note = util::try_parse_json(util::read_file(file));
  if (!note.is_object() || !note.contains("config") || util::text_member(note, "folder").empty()) {
    util::log_warning("pretrain", cat(file.string(), " is damaged: the run goes by init_from alone"));
    return {};
  }
  return note;
}

}  // namespace

Origin::Origin(const config::PretrainConfig& config, const RunData& data) : config_(config) {
  if (config.init_from.empty()) {
    shape_ = model::make_shape(config.model, data.manifest.vocab_size, data.tokenizer->special().pad);
  } else {
    const fs::path run = config.output;
    const nlohmann::json note = read_note(run / kOriginFile);
    if (!note.is_null() && !checkpoint::list_checkpoints(run / kCheckpointsFolder).empty()) {
      take_over_shape(model::shape_from_hub_config(note.at("config"), (run / kOriginFile).string()));
    } else {
      const bool is_noted = util::text_member(note, "init_from") == config.init_from;
      take_over_folder(is_noted ? util::text_member(note, "folder") : config.init_from, data);
    }
  }
  if (data.manifest.seq_len > shape_.max_positions) {
    throw ConfigError(
        cat(config.init_from.empty() ? "" : config.init_from + ": ", "model.max_positions ", shape_.max_positions,
            " is less than the rows of ", data.manifest.seq_len, " tokens in ", config.data,
            config.init_from.empty() ? cat("; give --set model.max_positions=", data.manifest.seq_len, ", or") : ";",
            " pack with --seq-len ", shape_.max_positions));
  }
}

void Origin::take_over_folder(const std::string& path, const RunData& data) {
  folder_ = checkpoint::open_model_directory(path);
  if (folder_->tokenizer->fingerprint() != data.manifest.tokenizer_fingerprint) {
    throw DataError(cat("init_from ", path, ": its tokenizer is not the one of ", config_.data,
                        "; pack the text with --tokenizer ", path));
  }
  if (folder_->head.kind == model::HeadKind::kMaskedLm && !folder_->head.refusal.empty()) {
    throw DataError(folder_->head.refusal);
  }
  model::EncoderShape shape = folder_->shape;
  if (shape.arch == config::Arch::kModern) {  // rotary positions go on for ever
    shape.max_positions = std::max(shape.max_positions, data.manifest.seq_len);
  }
  overruled_ = overruled(config_.model, with_shape(config_.model, shape));
  take_over_shape(shape);
}

void Origin::take_over_shape(const model::EncoderShape& shape) {
  shape_ = shape;
  config_.model = with_shape(config_.model, shape);
}

void Origin::leave_note(const RunDirectory& run) const {
  if (folder_) {
    const nlohmann::json note = {{"init_from", config_.init_from},
                                 {"folder", fs::weakly_canonical(fs::absolute(folder_->path)).string()},
                                 {"config", model::to_hub_config(shape_, {.kind = model::HeadKind::kNone})}};
    util::write_file_atomically(run.path() / kOriginFile, util::json_text(note, 2) + "\n");
  }
}

double Origin::start(const RunData& data, int64_t threads, const util::StopFlag& stop,
                     nn::Parameters& parameters) const {
  BC_CHECK(config_.init_from.empty() || folder_);
  if (!folder_) {
    return start_from_data(config_, data, threads, stop, parameters);
  }
  const auto start = std::chrono::steady_clock::now();
  if (!overruled_.empty()) {  // of a preset, most likely
    util::log_warning("pretrain",
                      cat(folder_->path.string(), " decides over the model: ", util::join(overruled_, ", ")));
  }
  const bool is_complete = folder_->head.kind == model::HeadKind::kMaskedLm;
  if (!is_complete) {  // a new head knows the frequencies at least
    config::PretrainConfig head_only = config_;
    head_only.model.word_embeddings = config::WordEmbeddingStart::kRandom;
    start_from_data(head_only, data, threads, stop, parameters);
  }
  checkpoint::load_weights(folder_->path, parameters,
                           is_complete ? checkpoint::Strictness::kComplete : checkpoint::Strictness::kEncoderOnly);
  if (!is_finite(parameters)) {
    throw DataError(cat("init_from ", folder_->path.string(),
                        ": its weights are not all numbers; it is damaged, or of a "
                        "run that diverged"));
  }
  util::log_info("pretrain", cat("starting from ", folder_->path.string()));
  if (!is_complete) {
    util::log_warning("pretrain", cat(folder_->path.string(), " has no masked-LM head: it starts at random"));
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace bertcram::train
