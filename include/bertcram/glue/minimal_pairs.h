#pragma once
// Minimal pairs of sentences (BLiMP, Warstadt et al. 2020): one is acceptable, the other almost the same and not.

#include <filesystem>
#include <string>
#include <vector>

namespace bertcram::glue {

struct MinimalPair {
  std::string good;
  std::string bad;
};

/// The pairs of one phenomenon.
struct Paradigm {
  std::string name;  ///< of its file, without the suffix
  std::vector<MinimalPair> pairs;
};

/// All *.jsonl files of a folder, by name, or one file; one object with `sentence_good` and `sentence_bad` per line.
/// @throws DataError naming file and line, or the folder if it holds no such file
std::vector<Paradigm> read_minimal_pairs(const std::filesystem::path& folder);

}  // namespace bertcram::glue
