#pragma once
// Small text helpers: numbers, sizes and durations as people write them, splitting, nearest names.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bertcram::util {

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);  ///< without ASCII white space at both ends
std::string to_lower_ascii(std::string_view text);
std::string join(std::span<const std::string> parts, std::string_view separator);

/// Without what follows the point; the nearest there is for numbers that int64_t does not hold, 0 for none at all (NaN).
int64_t whole_number(double value);

std::string format_bytes(int64_t bytes);      ///< "512 B", "3.4 MiB"
std::string format_count(int64_t count);      ///< "12,345,678"
std::string format_duration(double seconds);  ///< "59 s", "3 min 20 s", "4 h 05 min"
std::string format_fixed(double value, int decimals);
std::string format_number(double value);  ///< shortest text that reads back as the same double
/// Likewise, for people: 1,000,000 and 0.000001, where format_number has 1e+06.
std::string format_plain(double value);
std::string format_float(float value);  ///< likewise for a float: 1.27, where format_number has 1.2699999809265137

std::optional<int64_t> parse_int(std::string_view text);    ///< whole text, decimal; nullopt if it is anything else
std::optional<double> parse_double(std::string_view text);  ///< whole text, finite; nullopt if it is anything else
/// "2000000", "2e6", "2.3e9", "32k" = 32,000, "300M", "2.3G" or "2.3B" → whole number; nullopt if it is none, or too large.
std::optional<int64_t> parse_count(std::string_view text);
/// true, yes or on, false, no or off, in any case, as YAML 1.1 and people write them; nullopt if it is none of these.
std::optional<bool> parse_bool(std::string_view text);
/// "90s", "15m", "100h", "2d", "1h30m" or bare seconds → seconds; nullopt if it is none of these.
std::optional<double> parse_duration(std::string_view text);
/// "8GiB", "500MiB", "8GB" (powers of 1000), "64kB" or bare bytes → bytes; nullopt if it is none of these, or too many.
std::optional<int64_t> parse_bytes(std::string_view text);

/// Number of single-character edits between two words (Levenshtein).
int64_t edit_distance(std::string_view a, std::string_view b);
/// The candidate nearest to `word` if it is near enough to be meant, otherwise nullopt.
std::optional<std::string> nearest_name(std::string_view word, std::span<const std::string> candidates);
/// Likewise, but a word that a candidate goes on from with '-' means that one: finetune is finetune-glue.
std::optional<std::string> nearest_command(std::string_view word, std::span<const std::string> candidates);
/// What to say of a word that is none of these: "did you mean 'f1'?", or "known: accuracy, f1" if none is near enough.
/// @param section  stands before the nearest name
std::string nearest_or_known(std::string_view word, std::span<const std::string> known, std::string_view section = "");

/// The text on one line, cut after max_chars bytes, control characters as '?'; for showing input in messages.
std::string excerpt(std::string_view text, size_t max_chars = 60);

}  // namespace bertcram::util
