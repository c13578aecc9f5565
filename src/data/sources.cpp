#include "sources.h"

#include <nlohmann/json.hpp>

#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"

namespace bertcram::data {

namespace fs = std::filesystem;
using nlohmann::json;

json to_json(const std::vector<SourceSummary>& sources) {
  json list = json::array();
  for (const SourceSummary& source : sources) {
    list.push_back({{"path", source.path},
                    {"file_bytes", source.file_bytes},
                    {"text_bytes", source.text_bytes},
                    {"documents", source.documents},
                    {"nul_bytes", source.nul_bytes},
                    {"format", source.format},
                    {"bad_records", source.bad_records},
                    {"xxh3_128", source.hash}});
  }
  return list;
}

bool are_same_sources(const json& stored, const std::vector<fs::path>& files) {
  if (stored.size() != files.size()) {
    return false;
  }
  for (size_t i = 0; i < files.size(); ++i) {
    // As it was written: a name that is no UTF-8 was repaired on the way.
    const auto path = json::parse(util::json_text(json(files[i].string())));
    std::error_code error;
    const bool same = stored[i].at("path") == path && fs::is_regular_file(files[i], error) &&
                      stored[i].at("file_bytes") == fs::file_size(files[i]) &&
                      stored[i].at("xxh3_128") == util::hash_file(files[i]).hex();
    if (!same) {
      return false;
    }
  }
  return true;
}

int64_t total_file_bytes(const std::vector<fs::path>& files) {
  int64_t total = 0;
  for (const fs::path& file : files) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    total += error ? 0 : static_cast<int64_t>(size);
  }
  return total;
}

}  // namespace bertcram::data
