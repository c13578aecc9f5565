#include "bertcram/glue/minimal_pairs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

namespace fs = std::filesystem;

MinimalPair pair_of(std::string_view line, const std::string& where) {
  try {
    const auto object = util::parse_json(line);
    MinimalPair pair = {.good = object.at("sentence_good"), .bad = object.at("sentence_bad")};
    if (util::trim(pair.good).empty() || util::trim(pair.bad).empty()) {
      throw DataError(cat(where, ": an empty sentence"));
    }
    return pair;
  } catch (const nlohmann::json::exception& error) {
    throw DataError(cat(where, ": expected an object with sentence_good and sentence_bad (",
                        util::json_error_text(error.what()), ")"));
  }
}

Paradigm read_paradigm(const fs::path& file) {
  Paradigm paradigm{.name = file.stem().string(), .pairs = {}};
  const std::string text = util::read_file(file);
  int64_t number = 0;
  for (const std::string_view line : util::split(text, '\n')) {
    ++number;
    if (!util::trim(line).empty()) {
      paradigm.pairs.push_back(pair_of(line, cat(file.string(), ":", number)));
    }
  }
  if (paradigm.pairs.empty()) {
    throw DataError(cat(file.string(), ": no pair of sentences in it"));
  }
  return paradigm;
}

}  // namespace

std::vector<Paradigm> read_minimal_pairs(const fs::path& folder) {
  if (!fs::exists(folder)) {
    throw DataError(cat("--blimp ", folder.string(), ": no such folder; expected one with the *.jsonl files of BLiMP"));
  }
  std::vector<fs::path> files;
  if (fs::is_regular_file(folder)) {
    files.push_back(folder);
  } else if (fs::is_directory(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".jsonl" && entry.is_regular_file()) {
        files.push_back(entry.path());
      }
    }
  }
  if (files.empty()) {
    throw DataError(cat("--blimp ", folder.string(), ": no *.jsonl files of minimal pairs here"));
  }
  std::ranges::sort(files);
  std::vector<Paradigm> paradigms;
  std::ranges::transform(files, std::back_inserter(paradigms), read_paradigm);
  return paradigms;
}

}  // namespace bertcram::glue
