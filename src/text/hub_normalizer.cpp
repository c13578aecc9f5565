#include "hub_normalizer.h"

#include <utility>

#include "bertcram/text/unicode.h"
#include "white_space.h"

namespace bertcram::text {
namespace {

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  size_t from = 0;
  for (size_t at = text.find(pattern); at != std::string_view::npos; at = text.find(pattern, from)) {
    out += text.substr(from, at - from);
    out += content;
    from = at + pattern.size();
  }
  out += text.substr(from);
  return out;
}

/// Every run of two spaces or more becomes `content`.
std::string replace_space_runs(std::string_view text, std::string_view content) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_not_of(' ', at), text.size());
    if (end - at >= 2) {
      out += content;
      at = end;
    } else {
      out += text[at++];
    }
  }
  return out;
}

/// A run of spaces at the beginning becomes `content`.
std::string replace_leading_spaces(std::string_view text, std::string_view content) {
  const size_t end = std::min(text.find_first_not_of(' '), text.size());
  return std::string(end > 0 ? content : "") += text.substr(end);
}

/// A run of "▁" at the end becomes `content`.
std::string replace_trailing_metaspaces(std::string_view text, std::string_view content) {
  const size_t size = text.size();
  while (text.ends_with(kMetaspace)) {
    text.remove_suffix(kMetaspace.size());
  }
  return std::string(text) += text.size() < size ? content : "";
}

std::string lowered(std::string_view text) {
  std::string out;
  for (const char32_t c : to_code_points(text)) {
    out += to_utf8(lowercase(c));
  }
  return out;
}

std::string stripped(std::string_view text, const NormalizerStep& step) {
  if (step.strip_left) {
    text.remove_prefix(leading_white_space(text));
  }
  if (step.strip_right) {
    text.remove_suffix(trailing_white_space(text));
  }
  return std::string(text);
}

}  // namespace

HubNormalizer::HubNormalizer(const std::vector<NormalizerStep>& steps, const std::string& origin) : steps_(steps) {
  for (NormalizerStep& step : steps_) {
    if (step.kind == NormalizerStep::Kind::kCharMap) {
      char_maps_.emplace_back(step.pattern, origin);
      step.pattern.clear();
    }
  }
}

std::string HubNormalizer::normalize(std::string text) const {
  size_t char_map = 0;
  for (const NormalizerStep& step : steps_) {
    switch (step.kind) {
      case NormalizerStep::Kind::kCharMap: {
        std::string mapped;
        mapped.reserve(text.size());
        char_maps_[char_map++].apply(text, mapped);
        text = std::move(mapped);
        break;
      }
      case NormalizerStep::Kind::kStrip: text = stripped(text, step); break;
      case NormalizerStep::Kind::kReplace: text = replace_all(text, step.pattern, step.content); break;
      case NormalizerStep::Kind::kReplaceSpaces: text = replace_space_runs(text, step.content); break;
      case NormalizerStep::Kind::kReplaceLeading: text = replace_leading_spaces(text, step.content); break;
      case NormalizerStep::Kind::kReplaceTrailing: text = replace_trailing_metaspaces(text, step.content); break;
      case NormalizerStep::Kind::kPrepend: text.insert(0, text.empty() ? "" : step.content); break;
      case NormalizerStep::Kind::kLowercase: text = lowered(text); break;
      case NormalizerStep::Kind::kCompose: text = compose(text); break;
    }
  }
  return text;
}

std::string with_metaspaces(std::string_view text, const WordSplit& split, Before before) {
  std::string spelt = replace_all(text, " ", kMetaspace);
  const bool begins_part = before != Before::kText || split.at_white_space;
  const bool prepend = (split.prepend == WordSplit::Prepend::kAlways && begins_part) ||
                       (split.prepend == WordSplit::Prepend::kFirst && before == Before::kNothing);
  if (prepend && !spelt.starts_with(kMetaspace)) {
    spelt.insert(0, kMetaspace);
  }
  return spelt;
}

std::vector<std::string_view> white_space_parts(std::string_view text) {
  std::vector<std::string_view> parts;
  for (text.remove_prefix(leading_white_space(text)); !text.empty(); text.remove_prefix(leading_white_space(text))) {
    size_t size = 0;
    while (size < text.size() && leading_white_space(text.substr(size)) == 0) {
      size += decode_utf8(text.substr(size)).size_bytes;
    }
    parts.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return parts;
}

size_t metaspace_word_end(std::string_view text, size_t from) {
  return std::min(text.find(kMetaspace, from + (text.substr(from).starts_with(kMetaspace) ? kMetaspace.size() : 1)),
                  text.size());
}

}  // namespace bertcram::text
