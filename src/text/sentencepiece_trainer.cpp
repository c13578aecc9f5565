#include "bertcram/text/sentencepiece_trainer.h"

#include <sentencepiece_trainer.h>

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "sentencepiece_log.h"

namespace bertcram::text {
namespace {

using Arguments = std::unordered_map<std::string, std::string>;

/// The library's log level for "nothing but what ends the process".
constexpr const char* kFatalOnly = "3";
/// Sums over sentences are made by thread: with another number the last bits of scores differ.
constexpr const char* kTrainerThreads = "8";

class Sentences final : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const NextSentence& next) : next_(next), current_(next_()) {}
  bool done() const override { return current_ == nullptr; }
  void Next() override { current_ = next_(); }
  const std::string& value() const override { return *current_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const NextSentence& next_;
  const std::string* current_;
};

Arguments arguments_for(const SentencePieceTrainOptions& options) {
  return {{"model_type", options.model == SubwordModel::kUnigram ? "unigram" : "bpe"},
          {"vocab_size", std::to_string(options.vocab_size)},
          {"normalization_rule_name", options.casing == Casing::kCased ? "nmt_nfkc" : "nmt_nfkc_cf"},
          {"character_coverage", util::format_number(options.character_coverage)},
          {"max_sentence_length", std::to_string(kMaxSentenceBytes)},
          {"pad_id", "0"},
          {"pad_piece", "[PAD]"},
          {"unk_id", "1"},
          {"unk_piece", "[UNK]"},
          {"bos_id", "2"},
          {"bos_piece", "[CLS]"},
          {"eos_id", "3"},
          {"eos_piece", "[SEP]"},
          {"control_symbols", "[MASK]"},
          {"num_threads", kTrainerThreads},
          {"minloglevel", kFatalOnly}};
}

/// The number behind `words` in a message of the library.
std::optional<int64_t> number_behind(std::string_view message, std::string_view words) {
  const size_t at = message.find(words);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view rest = message.substr(at + words.size());
  return util::parse_int(rest.substr(0, rest.find_first_not_of("0123456789")));
}

/// The library's complaint in our words.
[[noreturn]] void throw_complaint(const std::string& message, const SentencePieceTrainOptions& options) {
  if (const auto most = number_behind(message, "Please set it to a value <= ")) {
    throw ConfigError(cat("this text gives only ", *most, " pieces, not the ", options.vocab_size,
                          " asked for; give more text or --vocab-size ", *most, " or less"));
  }
  if (const auto least = number_behind(message, cat("required_chars. ", options.vocab_size, " vs "))) {
    throw ConfigError(cat("--vocab-size ", options.vocab_size, " is less than the ", *least,
                          " special tokens and characters of this text; give --vocab-size ", *least,
                          " or more, or a lower --character-coverage"));
  }
  if (message.find("sentences_.empty()") != std::string::npos) {
    throw DataError("the input holds no text");
  }
  throw DataError(cat("the SentencePiece library cannot train on this text (", util::excerpt(message, 200), ")"));
}

}  // namespace

void silence_sentencepiece() {
  // The level has no function of its own in the public headers; without input this only sets it.
  sentencepiece::SentencePieceTrainer::Train(Arguments{{"minloglevel", kFatalOnly}}).IgnoreError();
}

std::string train_sentencepiece(const NextSentence& next, const SentencePieceTrainOptions& options) {
  silence_sentencepiece();
  Sentences sentences(next);
  std::string model;
  sentencepiece::util::Status status;
  try {
    status = sentencepiece::SentencePieceTrainer::Train(arguments_for(options), &sentences, &model);
  } catch (const std::bad_alloc&) {
    throw ResourceError("not enough memory to train on this much text; give a smaller --sample-bytes");
  }
  if (!status.ok()) {
    throw_complaint(status.ToString(), options);
  }
  return model;
}

std::unique_ptr<Tokenizer> make_subword_tokenizer(std::string spm_model, const std::string& origin) {
  const SpmModel model = parse_spm_model(spm_model, origin);
  SubwordDefinition definition = read_subword_json(subword_json(model, roles_of(model), origin), origin, {});
  definition.spm_model = std::move(spm_model);
  return std::make_unique<SubwordTokenizer>(std::move(definition), origin);
}

}  // namespace bertcram::text
