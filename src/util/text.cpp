#include "bertcram/util/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace bertcram::util {
namespace {

std::string shortest(auto value) {
  std::array<char, 64> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    if (end == std::string_view::npos) {
      parts.push_back(text.substr(begin));
      return parts;
    }
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string to_lower_ascii(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string joined;
  for (size_t i = 0; i < parts.size(); ++i) {
    joined += i == 0 ? "" : separator;
    joined += parts[i];
  }
  return joined;
}

std::string format_fixed(double value, int decimals) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*f", decimals,
                std::isnan(value) ? std::fabs(value) : value);  // no "-nan"
  return buffer.data();
}

std::string format_number(double value) { return shortest(value); }
std::string format_float(float value) { return shortest(value); }

std::string format_plain(double value) {
  if (std::floor(value) == value && std::fabs(value) < 0x1p63) {
    return format_count(static_cast<int64_t>(value));
  }
  std::array<char, 400> buffer{};  // the smallest double has 325 places
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  return {buffer.data(), result.ptr};
}

std::string format_bytes(int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return format_fixed(value, unit == 0 ? 0 : 1) + " " + kUnits[unit];
}

std::string format_count(int64_t count) {
  std::string digits = std::to_string(count);
  const int64_t first = count < 0 ? 1 : 0;
  for (auto position = static_cast<int64_t>(digits.size()) - 3; position > first; position -= 3) {
    digits.insert(static_cast<size_t>(position), ",");
  }
  return digits;
}

int64_t whole_number(double value) {
  constexpr double kMost = 9.2e18;
  return std::isnan(value) ? 0 : static_cast<int64_t>(std::clamp(value, -kMost, kMost));
}

std::string format_duration(double seconds) {
  const int64_t whole = whole_number(std::round(std::max(0.0, seconds)));
  std::array<char, 64> buffer{};
  if (whole < 60) {
    std::snprintf(buffer.data(), buffer.size(), "%lld s", static_cast<long long>(whole));
  } else if (whole < 3600) {
    std::snprintf(buffer.data(), buffer.size(), "%lld min %02lld s", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  } else {
    std::snprintf(buffer.data(), buffer.size(), "%lld h %02lld min", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole / 60 % 60));
  }
  return buffer.data();
}

std::optional<int64_t> parse_int(std::string_view text) {
  int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::optional<double> parse_double(std::string_view text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<int64_t> parse_count(std::string_view text) {
  if (const auto whole = parse_int(text)) {
    return whole;
  }
  constexpr std::array<std::pair<char, const char*>, 5> kUnits = {
      {{'k', "e3"}, {'K', "e3"}, {'M', "e6"}, {'G', "e9"}, {'B', "e9"}}};
  std::string number(text);
  const auto* unit = std::ranges::find(kUnits, text.empty() ? '\0' : text.back(), &std::pair<char, const char*>::first);
  if (unit != kUnits.end()) {
    number.replace(number.size() - 1, 1, unit->second);  // 2.3B is read as 2.3e9, which no product rounds
  }
  const auto value = parse_double(number);
  if (!value || std::floor(*value) != *value || std::fabs(*value) >= 0x1p63) {
    return std::nullopt;
  }
  return static_cast<int64_t>(*value);
}

std::optional<bool> parse_bool(std::string_view text) {
  const std::string word = to_lower_ascii(text);
  if (word == "true" || word == "yes" || word == "on") {
    return true;
  }
  if (word == "false" || word == "no" || word == "off") {
    return false;
  }
  return std::nullopt;
}

std::optional<double> parse_duration(std::string_view text) {
  if (const auto seconds = parse_double(text)) {
    return *seconds >= 0 ? seconds : std::nullopt;
  }
  if (text.empty()) {
    return std::nullopt;
  }
  double total = 0;
  while (!text.empty()) {
    const size_t unit_at = text.find_first_not_of("0123456789.");
    if (unit_at == std::string_view::npos || unit_at == 0) {
      return std::nullopt;
    }
    const auto value = parse_double(text.substr(0, unit_at));
    constexpr std::array<std::pair<char, double>, 4> kUnits = {{{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}}};
    const auto* unit = std::ranges::find(kUnits, text[unit_at], &std::pair<char, double>::first);
    if (!value || unit == kUnits.end()) {
      return std::nullopt;
    }
    total += *value * unit->second;
    text.remove_prefix(unit_at + 1);
  }
  return total;
}

std::optional<int64_t> parse_bytes(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 10> kUnits = {{{"", 1},
                                                                           {"B", 1},
                                                                           {"kB", 1e3},
                                                                           {"KB", 1e3},
                                                                           {"MB", 1e6},
                                                                           {"GB", 1e9},
                                                                           {"KiB", 0x1p10},
                                                                           {"MiB", 0x1p20},
                                                                           {"GiB", 0x1p30},
                                                                           {"TiB", 0x1p40}}};
  const size_t unit_at = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto value = parse_double(text.substr(0, unit_at));
  const auto* unit = std::ranges::find(kUnits, text.substr(unit_at), &std::pair<std::string_view, double>::first);
  if (!value || unit == kUnits.end() || *value * unit->second > 0x1p62) {
    return std::nullopt;
  }
  return static_cast<int64_t>(*value * unit->second);
}

int64_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

std::optional<std::string> nearest_name(std::string_view word, std::span<const std::string> candidates) {
  std::optional<std::string> best;
  int64_t best_distance = std::max<int64_t>(2, static_cast<int64_t>(word.size()) / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (const int64_t distance = edit_distance(word, candidate); distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::optional<std::string> nearest_command(std::string_view word, std::span<const std::string> candidates) {
  const std::string beginning = std::string(word) + "-";
  const auto longer =
      std::ranges::find_if(candidates, [&](const std::string& name) { return name.starts_with(beginning); });
  return longer == candidates.end() ? nearest_name(word, candidates) : std::optional(*longer);
}

std::string nearest_or_known(std::string_view word, std::span<const std::string> known, std::string_view section) {
  const auto nearest = nearest_name(word, known);
  return nearest ? "did you mean '" + std::string(section) + *nearest + "'?" : "known: " + join(known, ", ");
}

std::string excerpt(std::string_view text, size_t max_chars) {
  const bool cut = text.size() > max_chars;
  size_t length = std::min(text.size(), max_chars);
  while (cut && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) {
    --length;  // never cut inside a UTF-8 character
  }
  std::string shown(text.substr(0, length));
  std::ranges::replace_if(
      shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
  return cut ? shown + "…" : shown;
}

}  // namespace bertcram::util
