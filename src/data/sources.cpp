#include "sources.h"

#include <nlohmann/json.hpp>

#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"

namespace bertcram::data {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// Only what is not the default: most inputs are read whole.
void add_rules(const SourceSummary& source, json& entry) {
  if (source.rules.weight != 1.0) {
    entry["weight"] = source.rules.weight;
    entry["documents_left_out"] = source.documents_left_out;
  }
  if (source.rules.max_documents > 0) {
    entry["max_documents"] = source.rules.max_documents;
  }
  if (source.rules.max_bytes > 0) {
    entry["max_bytes"] = source.rules.max_bytes;
  }
  if (!source.is_complete) {
    entry["complete"] = false;
  }
}

/// Whether the file begins with the bytes that the entry remembers, and, unless a limit ended it before, is these bytes.
bool holds_same_bytes(const json& entry, const fs::path& file) {
  std::error_code error;
  const auto bytes = entry.at("file_bytes").get<uintmax_t>();
  if (!fs::is_regular_file(file, error)) {
    return false;
  }
  const uintmax_t size = fs::file_size(file, error);
  const bool may_go_on = !entry.value("complete", true);
  if (error || size < bytes || (size > bytes && !may_go_on)) {
    return false;
  }
  const util::MappedFile content(file);
  return content.size() >= bytes && entry.at("xxh3_128") == util::hash128(content.text().substr(0, bytes)).hex();
}

}  // namespace

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
    add_rules(source, list.back());
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
    if (stored[i].at("path") != path || !holds_same_bytes(stored[i], files[i])) {
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
