#include "bertcram/data/tokenizer_training.h"

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>

#include "bertcram/config/resolve.h"
#include "bertcram/data/document_reader.h"
#include "bertcram/text/sentencepiece_trainer.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/text/unicode.h"
#include "bertcram/text/wordpiece_trainer.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/parallel.h"
#include "bertcram/util/staged_folder.h"
#include "bertcram/util/text.h"
#include "sentence_sample.h"
#include "sources.h"
#include "stop_messages.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// What the tokenizer was made from, beside its own files.
constexpr const char* kTrainingFile = "training.json";

text::NormalizerOptions normalizer_options(const config::TokenizeConfig& config) {
  return {.clean_text = true, .handle_chinese_chars = true, .strip_accents = !config.cased, .lowercase = !config.cased};
}

std::string request_of(const config::TokenizeConfig& config, const InputList& inputs) {
  config::TokenizeConfig copy = config;
  const std::string options = config::fingerprint(config::fields_of(copy));
  const std::string lists = fingerprint(inputs, config.text);
  return lists.empty() ? options : util::hash128(options + lists).hex();
}

struct CountedText {
  text::WordCounts counts;
  int64_t invalid_utf8 = 0;
  std::vector<SourceSummary> sources;
};

/// A document that is wanted more than once counts as often.
void add_words(const DocumentBatch& batch, text::WordCounter& counter) {
  counter.add(batch.text);
  for (size_t i = 0; i < batch.size(); ++i) {
    for (int64_t copy = 1; copy < batch.copies[i]; ++copy) {
      counter.add(batch[i]);
    }
  }
}

/// What training gives, whatever the kind.
struct Trained {
  std::unique_ptr<text::Tokenizer> tokenizer;
  int64_t words = 0;
  int64_t invalid_utf8 = 0;
  std::vector<SourceSummary> sources;
};

/// Words of all inputs, counted by several threads.
CountedText count_words(const config::TokenizeConfig& config, const InputList& inputs, const TokenizeContext& context) {
  const text::Normalizer normalizer(normalizer_options(config));
  DocumentReader reader(inputs, {.input = config.text, .stop = &context.stop});
  util::Progress progress({.label = "tokenize", .total = total_file_bytes(inputs.paths()), .style = context.progress});
  text::SharedWordCounts all;
  std::mutex mutex;
  util::WorkerGroup workers;
  const auto next_batch = [&]() -> std::optional<DocumentBatch> {
    const std::lock_guard lock(mutex);
    util::throw_if_stopped(context.stop, kTokenizeStopped);
    return reader.next();
  };
  std::atomic<int64_t> invalid = 0;
  workers.run(util::thread_count(config.threads), [&](int64_t) {
    text::WordCounter own(normalizer, all);
    while (const auto batch = workers.failed() ? std::nullopt : next_batch()) {
      add_words(*batch, own);
      invalid += text::count_invalid_utf8(batch->text);
      progress.add(batch->source_bytes);
    }
    own.flush();
  });
  for (const SourceSummary& source : reader.summaries()) {
    invalid += source.invalid_utf8;
  }
  return {.counts = all.take(), .invalid_utf8 = invalid, .sources = reader.summaries()};
}

/// What an earlier run with the same options on the same bytes said of its result; nullopt if the folder holds no tokenizer.
/// @throws ConfigError if it holds another one; UnreadableError where an input or its origin is not given, so that nobody knows
std::optional<TokenizeResult> earlier_training(const config::TokenizeConfig& config, const InputList& inputs,
                                               const util::StopFlag& stop) {
  const fs::path output = config.output;
  if (!fs::exists(output / text::kTokenizerManifest)) {
    return std::nullopt;
  }
  try {
    const json stored = util::parse_json(util::read_file(output / kTrainingFile));
    if (stored.at("request") == request_of(config, inputs) &&
        are_same_sources(stored.at("sources"), inputs.paths(), stop)) {
      return TokenizeResult{.vocab_size = stored.at("vocab_size"),
                            .words = stored.at("words"),
                            .invalid_utf8 = stored.at("invalid_utf8"),
                            .fingerprint = stored.at("fingerprint")};
    }
  } catch (const json::exception&) {
    // A tokenizer of unknown origin is another tokenizer.
  } catch (const UnreadableError&) {
    throw;
  } catch (const DataError&) {
  }
  throw ConfigError(cat("--output ", config.output,
                        " already holds another tokenizer (other options or text); choose another folder, or give "
                        "--overwrite to replace it"));
}

/// The result of such a run if the folder holds all of it and it is not to be replaced. @throws ConfigError if it is another
std::optional<TokenizeResult> earlier_result(const config::TokenizeConfig& config, const InputList& inputs,
                                             const util::StopFlag& stop) {
  if (config.overwrite) {
    return std::nullopt;
  }
  auto earlier = earlier_training(config, inputs, stop);
  if (earlier && !text::is_whole_tokenizer(config.output, earlier->fingerprint)) {
    return std::nullopt;
  }
  if (earlier) {
    util::log_info("tokenize", cat(config.output, " already holds this result; nothing to do"));
  }
  return earlier;
}

text::WordPieceTrainOptions train_options(const config::TokenizeConfig& config, const TokenizeContext& context) {
  text::WordPieceTrainOptions options;
  options.vocab_size = config.vocab_size;
  options.min_frequency = static_cast<uint64_t>(config.min_frequency);
  options.limit_alphabet = config.limit_alphabet;
  options.check_stop = [&context] { util::throw_if_stopped(context.stop, kTokenizeStopped); };
  return options;
}

Trained train_wordpiece(const config::TokenizeConfig& config, const InputList& inputs, const TokenizeContext& context) {
  CountedText counted = count_words(config, inputs, context);
  const text::WordCounts& counts = counted.counts;
  if (counts.words.empty()) {
    throw DataError("tokenize: the input holds no text");
  }
  util::log_info("tokenize", cat(util::format_count(static_cast<int64_t>(counts.total_words)), " words, ",
                                 util::format_count(static_cast<int64_t>(counts.words.size())), " different"));
  if (counts.pruned_frequency > 0) {
    util::log_warning(
        "tokenize", cat("the text has more different words than are kept: words seen up to ", counts.pruned_frequency,
                        " times were left out, and with several --threads the vocabulary may differ from run to run"));
  }
  std::vector<std::string> vocabulary = text::train_wordpiece(counts, train_options(config, context));
  util::throw_if_stopped(context.stop, kTokenizeStopped);
  return {.tokenizer = text::make_wordpiece_tokenizer(std::move(vocabulary), normalizer_options(config)),
          .words = static_cast<int64_t>(counts.total_words),
          .invalid_utf8 = counted.invalid_utf8,
          .sources = std::move(counted.sources)};
}

Trained train_sentencepiece(const config::TokenizeConfig& config, const InputList& inputs,
                            const TokenizeContext& context) {
  SampledText sampled = sample_sentences(config, inputs, context);
  if (sampled.sentences.empty()) {
    throw DataError("tokenize: the input holds no text");
  }
  util::log_info("tokenize", cat(util::format_count(sampled.words), " words; the SentencePiece library trains on ",
                                 util::format_bytes(sampled.sample_bytes), " of ",
                                 util::format_bytes(sampled.text_bytes), " of text, and cannot be stopped meanwhile"));
  size_t next = 0;
  const std::string model = text::train_sentencepiece(
      [&]() { return next < sampled.sentences.size() ? &sampled.sentences[next++] : nullptr; },
      {.model = config.type == config::TokenizerType::kBpe ? text::SubwordModel::kBpe : text::SubwordModel::kUnigram,
       .vocab_size = config.vocab_size,
       .casing = config.cased ? text::Casing::kCased : text::Casing::kUncased,
       .character_coverage = config.character_coverage});
  util::throw_if_stopped(context.stop, kTokenizeStopped);
  return {.tokenizer = text::make_subword_tokenizer(model, "the trained model"),
          .words = sampled.words,
          .invalid_utf8 = sampled.invalid_utf8,
          .sources = std::move(sampled.sources)};
}

}  // namespace

TokenizeResult run_tokenize(const config::TokenizeConfig& config, const TokenizeContext& context) {
  const fs::path output = config.output;
  util::finish_publishing(output, "tokenize");
  util::refuse_foreign_folder(output, text::kTokenizerFormat, "tokenizer");
  const InputList inputs = resolve_inputs(config.input, config.text, output);
  if (const auto earlier = earlier_result(config, inputs, context.stop)) {
    return *earlier;
  }
  util::make_writable_directory(output);
  const util::DirectoryLock lock(output, "tokenize");
  if (const auto earlier = earlier_result(config, inputs, context.stop)) {  // another process may have been quicker
    return *earlier;
  }
  if (!config.overwrite && fs::exists(output / text::kTokenizerManifest)) {
    util::log_warning("tokenize", cat(output.string(), ": damaged or incomplete, made again"));
  }
  util::StagedFolder staged(output);

  const Trained trained = config.type == config::TokenizerType::kWordPiece
                              ? train_wordpiece(config, inputs, context)
                              : train_sentencepiece(config, inputs, context);
  TokenizeResult result = {.vocab_size = trained.tokenizer->vocab_size(),
                           .words = trained.words,
                           .invalid_utf8 = trained.invalid_utf8,
                           .fingerprint = trained.tokenizer->fingerprint()};
  trained.tokenizer->save(staged.staging());
  const json training = {{"request", request_of(config, inputs)}, {"sources", to_json(trained.sources)},
                         {"vocab_size", result.vocab_size},       {"words", result.words},
                         {"invalid_utf8", result.invalid_utf8},   {"fingerprint", result.fingerprint}};
  util::write_file_atomically(staged.staging() / kTrainingFile, util::json_text(training, 1) + "\n");
  std::vector<std::string> obsolete(text::kTokenizerFiles.begin(), text::kTokenizerFiles.end());
  obsolete.push_back(kTrainingFile);
  staged.publish(text::kTokenizerManifest, obsolete);
  return result;
}

}  // namespace bertcram::data
