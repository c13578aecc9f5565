#include "sentence_sample.h"

#include <algorithm>

#include "bertcram/text/sentencepiece_trainer.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/random.h"
#include "bertcram/util/text.h"
#include "sources.h"
#include "stop_messages.h"

namespace bertcram::data {
namespace {

/// Any constant: which lines are drawn is nobody's setting.
constexpr uint64_t kSampleSeed = 0x73656e74656e6365;

int64_t count_words(std::string_view line) {
  int64_t words = 0;
  bool in_word = false;
  for (const char c : line) {
    const bool is_blank = c == ' ' || c == '\t' || c == '\r';
    words += !is_blank && !in_word ? 1 : 0;
    in_word = !is_blank;
  }
  return words;
}

void add_line(std::string_view line, SampledText& text, SentenceSample& sample) {
  line = util::trim(line);
  std::string repaired;
  if (const int64_t invalid = text::count_invalid_utf8(line); invalid > 0) {
    text.invalid_utf8 += invalid;
    repaired = text::repair_utf8(line);
    line = repaired;
  }
  text.words += count_words(line);
  text.text_bytes += static_cast<int64_t>(line.size());
  for (const std::string_view sentence : cut_line(line, text::kMaxSentenceBytes)) {
    sample.add(sentence);
  }
}

}  // namespace

void SentenceSample::add(std::string_view sentence) {
  const uint64_t number = added_++;
  const uint64_t key = util::mix_key({kSampleSeed, number});
  const auto size = static_cast<int64_t>(sentence.size());
  if (bytes_ + size > max_bytes_ && !kept_.empty() && key > kept_.front().key) {
    return;  // the first to go anyhow
  }
  kept_.push_back({key, number, std::string(sentence)});
  std::push_heap(kept_.begin(), kept_.end());
  bytes_ += size;
  while (bytes_ > max_bytes_ && kept_.size() > 1) {
    std::pop_heap(kept_.begin(), kept_.end());
    bytes_ -= static_cast<int64_t>(kept_.back().text.size());
    kept_.pop_back();
  }
}

std::vector<std::string> SentenceSample::take() {
  std::ranges::sort(kept_, {}, &Kept::number);
  std::vector<std::string> texts;
  texts.reserve(kept_.size());
  for (Kept& kept : kept_) {
    texts.push_back(std::move(kept.text));
  }
  kept_.clear();
  bytes_ = 0;
  return texts;
}

std::vector<std::string_view> cut_line(std::string_view line, size_t max_bytes) {
  std::vector<std::string_view> parts;
  while (line.size() > max_bytes) {
    size_t end = line.rfind(' ', max_bytes - 1);
    if (end == std::string_view::npos || end == 0) {
      end = max_bytes;
      while (end > 1 && text::is_continuation_byte(line[end])) {
        --end;
      }
    }
    parts.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  if (!line.empty()) {
    parts.push_back(line);
  }
  return parts;
}

SampledText sample_sentences(const config::TokenizeConfig& config, const InputList& inputs,
                             const TokenizeContext& context) {
  DocumentReader reader(inputs, {.input = config.text, .stop = &context.stop});
  util::Progress progress({.label = "tokenize", .total = total_file_bytes(inputs.paths()), .style = context.progress});
  SampledText text;
  SentenceSample sample(config.sample_bytes);
  while (const auto batch = reader.next()) {
    util::throw_if_stopped(context.stop, kTokenizeStopped);
    for (size_t i = 0; i < batch->size(); ++i) {
      for (int64_t copy = 0; copy < batch->copies[i]; ++copy) {
        for (const std::string_view line : util::split((*batch)[i], '\n')) {
          add_line(line, text, sample);
        }
      }
    }
    progress.add(batch->source_bytes);
  }
  text.sources = reader.summaries();
  for (const SourceSummary& source : text.sources) {
    text.invalid_utf8 += source.invalid_utf8;
  }
  text.sample_bytes = sample.bytes();
  text.sentences = sample.take();
  return text;
}

}  // namespace bertcram::data
