#include "sources.h"

#include <nlohmann/json.hpp>

#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"

namespace bertcram::data {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::pair<const char*, int64_t SourceSummary::*> kCounts[] = {{"file_bytes", &SourceSummary::file_bytes},
                                                                        {"text_bytes", &SourceSummary::text_bytes},
                                                                        {"documents", &SourceSummary::documents},
                                                                        {"nul_bytes", &SourceSummary::nul_bytes},
                                                                        {"lines", &SourceSummary::lines},
                                                                        {"bad_records", &SourceSummary::bad_records},
                                                                        {"invalid_utf8", &SourceSummary::invalid_utf8}};

constexpr std::pair<const char*, std::string SourceSummary::*> kTexts[] = {
    {"path", &SourceSummary::path}, {"format", &SourceSummary::format}, {"xxh3_128", &SourceSummary::hash}};

}  // namespace

json to_json(const std::vector<SourceSummary>& sources) {
  json list = json::array();
  for (const SourceSummary& source : sources) {
    json object;
    for (const auto& [name, field] : kTexts) {
      object[name] = source.*field;
    }
    for (const auto& [name, field] : kCounts) {
      object[name] = source.*field;
    }
    list.push_back(std::move(object));
  }
  return list;
}

std::vector<SourceSummary> sources_of_json(const json& list) {
  std::vector<SourceSummary> sources;
  for (const json& object : list) {
    SourceSummary source;
    for (const auto& [name, field] : kTexts) {
      source.*field = object.at(name);
    }
    for (const auto& [name, field] : kCounts) {
      source.*field = object.at(name);
    }
    sources.push_back(std::move(source));
  }
  return sources;
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
