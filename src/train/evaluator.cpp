#include "bertcram/train/evaluator.h"

#include <cmath>
#include <filesystem>
#include <optional>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/data/packer.h"
#include "bertcram/train/loaded_model.h"
#include "bertcram/train/masked_lm.h"
#include "bertcram/train/runtime.h"
#include "bertcram/util/error.h"
#include "bertcram/util/scratch_folder.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;

/// Rows as long as the model takes, at most 128 tokens, in the order that pack gives them.
void pack_text(const config::EvalConfig& config, const checkpoint::ModelDirectory& model, const fs::path& folder,
               const util::StopFlag& stop) {
  config::PackConfig pack;
  pack.input = {config.text};
  pack.output = folder.string();
  pack.seq_len = std::min<int64_t>(128, model.shape.max_positions);
  pack.valid_frac = 0.0;
  pack.dedup = config::Dedup::kNone;
  try {
    data::run_pack(pack, *model.tokenizer, {.stop = stop, .progress = util::ProgressStyle::kQuiet});
  } catch (const util::StoppedError&) {
    throw util::StoppedError(stop, "eval: stopped");
  }
}

}  // namespace

HeldOutScores evaluate_held_out(const config::EvalConfig& config, const util::StopFlag& stop) {
  const auto source = checkpoint::open_model_directory(config.model);
  checkpoint::require_masked_lm(source);
  std::optional<util::ScratchFolder> scratch;  // until the rows are read
  fs::path folder = config.data;
  if (!config.text.empty()) {
    if (config.text != "-" && !fs::exists(config.text)) {
      throw DataError(cat("--text ", config.text, ": no such file"));
    }
    folder = scratch.emplace("eval").path();
    pack_text(config, source, folder, stop);
  }
  const auto manifest = data::read_packed_manifest(folder);
  if (manifest.tokenizer_fingerprint != source.tokenizer->fingerprint()) {
    throw DataError(cat("--data ", config.data, " was packed with another tokenizer than the one of --model ",
                        config.model, "; pack it with --tokenizer ", config.model));
  }
  const data::RowStore rows(folder, config.text.empty() ? manifest.valid_shards : manifest.train_shards, manifest);
  if (rows.rows() == 0) {
    throw DataError(
        cat("--data ", config.data, " has no held-out rows; pack with a larger --valid-frac, or use --text"));
  }
  if (manifest.seq_len > source.shape.max_positions) {
    throw DataError(cat("--data ", config.data, " has rows of ", manifest.seq_len, " tokens, the model takes ",
                        source.shape.max_positions, "; pack the text again with --seq-len ",
                        source.shape.max_positions));
  }
  const Runtime runtime = set_up_runtime(config.runtime);
  const LoadedModel model(source, source.head, runtime);
  const auto masking =
      masking_options(source.tokenizer->special(), manifest.vocab_size, {.mask_prob = config.mask_prob});
  const data::MaskedBatches batches(rows, masking, static_cast<uint64_t>(config.seed), data::RowOrder::kStored);
  const int64_t count = config.rows > 0 ? std::min(config.rows, rows.rows()) : rows.rows();
  const auto scores = evaluate_masked_lm(model.encoder(), batches, count, config.micro_rows, runtime.device, stop);
  if (!scores) {
    throw util::StoppedError(stop, "eval: stopped");
  }
  if (scores->masked_tokens == 0) {
    throw DataError(cat(config.text.empty() ? "--data " + config.data : "--text " + config.text,
                        ": no token in it can be predicted, only special and unknown ones; does the text fit the "
                        "tokenizer of --model ",
                        config.model, "?"));
  }
  if (!std::isfinite(scores->loss)) {
    throw DataError(cat("--model ", config.model, ": its weights give a loss that is not a number; is it damaged?"));
  }
  return *scores;
}

}  // namespace bertcram::train
