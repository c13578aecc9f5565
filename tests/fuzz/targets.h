#pragma once
// What is fuzzed: every parser of files that come from somewhere else. A target is some good files and a function that
// reads whatever it is given; whether libFuzzer or a test makes the bytes does not matter to it.

#include <filesystem>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bertcram::test {

struct FuzzTarget {
  std::string_view name;
  /// Files that are read without an error.
  std::function<std::vector<std::string>()> seeds;
  /// Reads `bytes` as a file, in the folder given, and uses the result. @throws what the parser throws
  std::function<void(const std::string& bytes, const std::filesystem::path& folder)> read;
};

/// For GoogleTest.
inline void PrintTo(const FuzzTarget& target, std::ostream* out) { *out << target.name; }

/// All.
std::span<const FuzzTarget> fuzz_targets();
/// Those of the room glue, for fuzz_targets.
std::vector<FuzzTarget> glue_targets();
/// Those of the room monitor.
std::vector<FuzzTarget> monitor_targets();

/// Runs `read`. @return whether the bytes were accepted
/// @throws std::logic_error, with what was thrown, if that is anything but one line for the user about bad input
bool accepts(const FuzzTarget& target, const std::string& bytes, const std::filesystem::path& folder);

}  // namespace bertcram::test
