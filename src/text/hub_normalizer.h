#pragma once
// The normaliser and pre-tokeniser steps of Hugging Face that unigram and BPE tokenizers use.

#include <string>
#include <string_view>
#include <vector>

#include "bertcram/text/char_map.h"
#include "bertcram/text/subword_definition.h"
#include "bertcram/text/tokenizer.h"
#include "byte_level.h"

namespace bertcram::text {

inline constexpr std::string_view kMetaspace = "▁";

/// Immutable, thread-safe.
class HubNormalizer {
 public:
  /// @param origin what to name in errors
  HubNormalizer(const std::vector<NormalizerStep>& steps, const std::string& origin);

  /// `text` (valid UTF-8) after all steps.
  std::string normalize(std::string text) const;

 private:
  std::vector<NormalizerStep> steps_;
  std::vector<CharMap> char_maps_;  ///< of the kCharMap steps, in their order
};

/// Cuts normalised text into words, calling `take(word)` for each in turn.
/// @param before what stands before the text in the whole input
template <class Take>
void for_each_word(std::string_view text, const WordSplit& split, Before before, Take take);

/// A copy of the text with "▁" for every space, and one before it where `split` says so.
std::string with_metaspaces(std::string_view text, const WordSplit& split, Before before);
/// The white-space separated parts of the text.
std::vector<std::string_view> white_space_parts(std::string_view text);
/// Where the word ends that begins at `from`: before the next "▁".
size_t metaspace_word_end(std::string_view text, size_t from);

template <class Take>
void for_each_word(std::string_view text, const WordSplit& split, Before before, Take take) {
  const auto take_part = [&](std::string_view part) {
    if (!split.metaspace) {
      take(part);
      return;
    }
    const std::string spelt = with_metaspaces(part, split, before);
    for (size_t from = 0; from < spelt.size();) {
      const size_t end = split.before_metaspace ? metaspace_word_end(spelt, from) : spelt.size();
      take(std::string_view(spelt).substr(from, end - from));
      from = end;
    }
  };
  if (text.empty()) {
    return;
  }
  if (split.byte_level) {
    const bool prepend = split.prefix_space && before != Before::kText && text.front() != ' ';
    const std::string spaced = prepend ? " " + std::string(text) : std::string(text);
    for (size_t from = 0; from < spaced.size();) {
      const size_t bytes = byte_level_word_bytes(spaced, from);
      take(spell_bytes(std::string_view(spaced).substr(from, bytes)));
      from += bytes;
    }
    return;
  }
  if (!split.at_white_space) {
    take_part(text);
    return;
  }
  for (const std::string_view part : white_space_parts(text)) {
    take_part(part);
  }
}

}  // namespace bertcram::text
