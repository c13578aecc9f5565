#include "filters.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "bertcram/data/document_reader.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "word_runs.h"

namespace bertcram::data {
namespace {

constexpr size_t kRepeatedRun = 5;
constexpr size_t kContaminatedRun = 13;

/// Calls `visit` with each string in a JSON value.
template <class Visit>
void for_each_string(const nlohmann::json& value, const Visit& visit) {
  if (value.is_string()) {
    visit(value.get_ref<const std::string&>());
  } else if (value.is_structured()) {
    for (const auto& each : value) {
      for_each_string(each, visit);
    }
  }
}

template <class Visit>
void for_each_text(std::string_view line, const Visit& visit) {
  if (line.starts_with('{')) {
    const auto value = util::try_parse_json(line);
    if (value.is_object()) {
      for_each_string(value, visit);
      return;
    }
  }
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find('\t', begin), line.size());
    visit(line.substr(begin, end - begin));
    begin = end + 1;
  }
}

struct Visibility {
  int64_t visible = 0;  ///< not white space
  int64_t symbols = 0;  ///< neither letter, mark nor digit
};

Visibility visibility_of(char32_t c) {
  const bool is_visible = !text::is_whitespace(c);
  return {.visible = is_visible ? 1 : 0, .symbols = is_visible && !text::is_word_character(c) ? 1 : 0};
}

}  // namespace

double symbol_share(std::string_view text) {
  static const auto kAscii = [] {
    std::array<Visibility, 128> table;
    std::ranges::generate(table, [c = char32_t{0}]() mutable { return visibility_of(c++); });
    return table;
  }();
  int64_t symbols = 0;
  int64_t visible = 0;
  while (!text.empty()) {
    const text::DecodedChar decoded = text::decode_utf8(text);
    text.remove_prefix(decoded.size_bytes);
    const Visibility character =
        decoded.code_point < kAscii.size() ? kAscii[decoded.code_point] : visibility_of(decoded.code_point);
    visible += character.visible;
    symbols += character.symbols;
  }
  return visible == 0 ? 0.0 : static_cast<double>(symbols) / static_cast<double>(visible);
}

double repetition_share(std::span<const uint64_t> words) {
  if (words.size() <= kRepeatedRun) {
    return 0.0;
  }
  HashSet seen(words.size());
  size_t repeated = 0;
  for_each_run(words, kRepeatedRun, [&](uint64_t run) { repeated += seen.insert(run) ? 0U : 1U; });
  return static_cast<double>(repeated) / static_cast<double>(words.size() - kRepeatedRun + 1);
}

Contamination::Contamination(const std::vector<std::string>& files, const util::StopFlag& stop) {
  if (files.empty()) {
    return;
  }
  config::TextInputConfig lines;
  lines.format = config::TextFormat::kLines;
  DocumentReader reader(expand_inputs("--decontaminate", files), {.input = lines, .stop = &stop});
  std::vector<uint64_t> words;
  while (const auto batch = reader.next()) {
    for (size_t i = 0; i < batch->size(); ++i) {
      for_each_text((*batch)[i], [&](std::string_view text) {
        hash_words(text, words);
        if (words.size() >= kContaminatedRun) {
          for_each_run(words, kContaminatedRun, [&](uint64_t run) { runs_.insert(run); });
        }
      });
    }
  }
}

bool Contamination::is_in(std::span<const uint64_t> words) const {
  if (words.size() < kContaminatedRun || runs_.size() == 0) {
    return false;
  }
  bool found = false;
  for_each_run(words, kContaminatedRun, [&](uint64_t run) { found = found || runs_.contains(run); });
  return found;
}

DocumentFilters::DocumentFilters(const config::FilterConfig& config, const util::StopFlag& stop)
    : config_(config),
      contamination_(config.decontaminate, stop),
      needs_words_(config.max_repetition < 1.0 || !config.decontaminate.empty() || config.near_duplicates > 0.0) {}

Verdict DocumentFilters::judge(std::string_view text, std::vector<uint64_t>& words) const {
  constexpr int64_t kLongestCharacter = 4;  // bytes
  if (config_.min_chars > 1 && static_cast<int64_t>(text.size()) < kLongestCharacter * config_.min_chars &&
      text::count_chars(text) < config_.min_chars) {
    return Verdict::kShort;
  }
  if (config_.max_symbols < 1.0 && symbol_share(text) > config_.max_symbols) {
    return Verdict::kSymbols;
  }
  if (!needs_words_) {
    return Verdict::kKeep;
  }
  hash_words(text, words);
  if (config_.max_repetition < 1.0 && repetition_share(words) > config_.max_repetition) {
    return Verdict::kRepetition;
  }
  return contamination_.is_in(words) ? Verdict::kContaminated : Verdict::kKeep;
}

Verdict DocumentFilters::judge_tokens(std::string_view text, size_t tokens) const {
  if (tokens == 0) {  // nothing but white space and control characters
    return Verdict::kShort;
  }
  const bool is_incompressible =
      config_.max_tokens_per_char > 0.0 &&
      static_cast<double>(tokens) >= config_.max_tokens_per_char * static_cast<double>(text::count_chars(text));
  return is_incompressible ? Verdict::kIncompressible : Verdict::kKeep;
}

}  // namespace bertcram::data
