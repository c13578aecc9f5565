#include "sources.h"

#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::data {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::pair<const char*, int64_t SourceSummary::*> kCounts[] = {
    {"file_bytes", &SourceSummary::file_bytes},
    {"text_bytes", &SourceSummary::text_bytes},
    {"document_bytes", &SourceSummary::document_bytes},
    {"documents", &SourceSummary::documents},
    {"documents_left_out", &SourceSummary::documents_left_out},
    {"nul_bytes", &SourceSummary::nul_bytes},
    {"lines", &SourceSummary::lines},
    {"bad_records", &SourceSummary::bad_records},
    {"invalid_utf8", &SourceSummary::invalid_utf8}};

constexpr std::pair<const char*, std::string SourceSummary::*> kTexts[] = {
    {"path", &SourceSummary::path}, {"format", &SourceSummary::format}, {"xxh3_128", &SourceSummary::hash}};

/// Only what is not the default: most inputs are read whole.
void add_rules(const SourceSummary& source, json& entry) {
  if (source.rules.weight != 1.0) {
    entry["weight"] = source.rules.weight;
  }
  if (source.rules.max_documents > 0) {
    entry["max_documents"] = source.rules.max_documents;
  }
  if (source.rules.max_bytes > 0) {
    entry["max_bytes"] = source.rules.max_bytes;
  }
  if (source.cuts > 0) {
    entry["cuts"] = source.cuts;
  }
  if (source.limit_reached) {
    entry["limit_reached"] = true;
  }
  if (!source.is_complete) {
    entry["complete"] = false;
  }
}

/// Whether the file begins with the bytes that the entry remembers, and, unless a limit ended it before, is these bytes.
bool holds_same_bytes(const json& entry, const fs::path& file, const util::StopFlag& stop) {
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
  util::StreamHash hash;
  hash.update(content.text().substr(0, bytes), stop);
  return content.size() >= bytes && entry.at("xxh3_128") == hash.digest128().hex();
}

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
    add_rules(source, object);
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
    source.cuts = object.value("cuts", int64_t{0});
    source.limit_reached = object.value("limit_reached", false);
    source.is_complete = object.value("complete", true);
    sources.push_back(std::move(source));
  }
  return sources;
}

bool are_same_sources(const json& stored, const std::vector<fs::path>& files, const util::StopFlag& stop) {
  if (stored.size() != files.size()) {
    return false;
  }
  for (size_t i = 0; i < files.size(); ++i) {
    // As it was written: a name that is no UTF-8 was repaired on the way.
    if (stored[i].at("path") != util::valid_utf8(files[i].string())) {
      return false;
    }
  }
  util::log_info("data", cat("checking the inputs: ", util::format_bytes(total_file_bytes(files)),
                             " may be those of an earlier result"));
  for (size_t i = 0; i < files.size(); ++i) {
    if (!holds_same_bytes(stored[i], files[i], stop)) {
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
