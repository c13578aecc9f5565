// bertcram tokenize: raw text → tokenizer folder.

#include <atomic>
#include <mutex>

#include "bertcram/config/tokenize_config.h"
#include "bertcram/data/document_reader.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/text/unicode.h"
#include "bertcram/text/wordpiece_trainer.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/log.h"
#include "bertcram/util/parallel.h"
#include "bertcram/util/staged_folder.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "output.h"

namespace bertcram::cli {
namespace {

namespace fs = std::filesystem;

text::NormalizerOptions normalizer_options(const config::TokenizeConfig& config) {
  return {.clean_text = true, .handle_chinese_chars = true, .strip_accents = !config.cased, .lowercase = !config.cased};
}

struct CountedText {
  text::WordCounts counts;
  int64_t invalid_utf8 = 0;  ///< byte sequences read as U+FFFD
};

/// Words of all inputs, counted by several threads.
CountedText count_words(const config::TokenizeConfig& config, const text::Normalizer& normalizer,
                        const Session& session) {
  const auto files = data::expand_inputs(config.input);
  int64_t total_bytes = 0;
  for (const auto& file : files) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    total_bytes += error ? 0 : static_cast<int64_t>(size);
  }
  data::DocumentReader reader(files);
  util::Progress progress({.label = "tokenize", .total = total_bytes, .style = session.progress});
  text::WordCounter all(normalizer);
  std::mutex mutex;
  util::WorkerGroup workers;
  const auto next_batch = [&]() -> std::optional<data::DocumentBatch> {
    const std::lock_guard lock(mutex);
    if (session.stop.requested()) {
      throw util::StoppedError(session.stop, "tokenize: stopped; nothing was written");
    }
    return reader.next();
  };
  std::atomic<int64_t> invalid = 0;
  workers.run(util::thread_count(config.threads), [&](int64_t) {
    text::WordCounter own(normalizer);
    while (const auto batch = workers.failed() ? std::nullopt : next_batch()) {
      own.add(batch->text);
      invalid += text::count_invalid_utf8(batch->text);
      progress.add(batch->source_bytes);
    }
    const std::lock_guard lock(mutex);
    all.merge(own);
  });
  return {.counts = all.counts(), .invalid_utf8 = invalid};
}

void run(const config::TokenizeConfig& config, bool as_json, const Session& session) {
  require_flags({{"--input", !config.input.empty()}, {"--output", !config.output.empty()}});
  const fs::path output = config.output;
  util::finish_publishing(output, "tokenize");
  util::refuse_foreign_folder(output, text::kTokenizerFormat, "tokenizer");
  if (fs::exists(output / text::kTokenizerManifest) && !config.overwrite) {
    throw ConfigError(cat("--output ", config.output,
                          " already holds a tokenizer; choose another folder, or give --overwrite to replace it"));
  }
  util::make_writable_directory(output);
  const util::DirectoryLock lock(output, "tokenize");
  util::StagedFolder staged(output);
  const text::Normalizer normalizer(normalizer_options(config));
  const auto [counts, invalid_utf8] = count_words(config, normalizer, session);
  if (counts.words.empty()) {
    throw DataError("tokenize: the input holds no text");
  }
  util::log_info("tokenize", cat(util::format_count(static_cast<int64_t>(counts.total_words)), " words, ",
                                 util::format_count(static_cast<int64_t>(counts.words.size())), " different"));
  text::WordPieceTrainOptions options;
  options.vocab_size = config.vocab_size;
  options.min_frequency = static_cast<uint64_t>(config.min_frequency);
  options.limit_alphabet = config.limit_alphabet;
  const auto tokenizer =
      text::make_wordpiece_tokenizer(text::train_wordpiece(counts, options), normalizer_options(config));
  tokenizer->save(staged.staging());
  staged.publish(text::kTokenizerManifest, {});
  print_result(as_json,
               {{"output", config.output},
                {"vocab_size", tokenizer->vocab_size()},
                {"words", counts.total_words},
                {"invalid_utf8", invalid_utf8},
                {"fingerprint", tokenizer->fingerprint()}},
               cat(invalid_utf8 > 0 ? cat(util::format_count(invalid_utf8), " invalid UTF-8 sequences replaced\n") : "",
                   "tokenizer with ", tokenizer->vocab_size(), " pieces in ", config.output, "\n"));
}

}  // namespace

Run setup_tokenize(CLI::App& app) {
  const auto config = std::make_shared<config::TokenizeConfig>();
  const auto as_json = std::make_shared<bool>(false);
  ConfigFlags flags(app);
  flags.add_top_level(config::fields_of(*config));
  flags.add_config_options();
  app.add_flag("--json", *as_json, "print the result as JSON");
  return [config, as_json, flags](const Session& session) {
    flags.apply(config::fields_of(*config), session);
    run(*config, *as_json, session);
  };
}

}  // namespace bertcram::cli
