#pragma once
// Rules that judge a document by itself.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/config/filter_config.h"
#include "bertcram/util/stop.h"
#include "hash_set.h"

namespace bertcram::data {

/// Share of the characters other than white space that are neither letters, marks nor digits; 0 for an empty text.
double symbol_share(std::string_view text);

/// Share of the runs of five words that occurred before in the same text; 0 for fewer than six words.
double repetition_share(std::span<const uint64_t> words);

/// The runs of thirteen words of evaluation data (the length of Brown et al. 2020, appendix C). Texts of fewer words say
/// too little to be told from chance and are left out.
class Contamination {
 public:
  /// Takes the tab-separated fields of each line as texts; of a line that is a JSON object, its strings.
  /// @throws DataError if a file cannot be read, util::StoppedError
  Contamination(const std::vector<std::string>& files, const util::StopFlag& stop);

  bool is_in(std::span<const uint64_t> words) const;
  size_t runs() const { return runs_.size(); }

 private:
  HashSet runs_;
};

enum class Verdict { kKeep, kShort, kSymbols, kRepetition, kContaminated, kIncompressible };

/// All such rules of a configuration. Immutable, thread-safe.
class DocumentFilters {
 public:
  /// @throws DataError as Contamination
  DocumentFilters(const config::FilterConfig& config, const util::StopFlag& stop);

  /// The first rule that the text breaks. @param words  room to work in; holds the words of the text if needs_words()
  Verdict judge(std::string_view text, std::vector<uint64_t>& words) const;
  /// The rules that need the tokens of the text; one without any is short, whatever min_chars is.
  Verdict judge_tokens(std::string_view text, size_t tokens) const;
  /// Whether `judge` fills `words`.
  bool needs_words() const { return needs_words_; }

 private:
  const config::FilterConfig& config_;
  Contamination contamination_;
  bool needs_words_;
};

}  // namespace bertcram::data
