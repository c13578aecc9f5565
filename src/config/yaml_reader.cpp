#include "yaml_reader.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "bertcram/util/error.h"
#include "unknown_key.h"

namespace bertcram::config {

void YamlReader::read(const YAML::Node& node, const std::string& prefix) {
  if (node.IsNull()) {
    return;
  }
  if (!node.IsMap()) {
    problem(node, cat("expected 'key: value' lines", prefix.empty() ? "" : " below '" + prefix + "'"));
    return;
  }
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const auto key = key_of(entry.first);
    if (!key) {
      continue;
    }
    const std::string path = prefix.empty() ? *key : cat(prefix, ".", *key);
    if (!seen.insert(*key).second) {
      problem(entry.first, cat("duplicate key '", path, "'"));
    } else {
      read_entry(entry.first, path, entry.second);
    }
  }
}

std::optional<std::string> YamlReader::key_of(const YAML::Node& node) {
  if (node.IsMap() || node.IsSequence()) {
    problem(node, "expected a word before ':'");
    return std::nullopt;
  }
  return node.as<std::string>();
}

void YamlReader::read_entry(const YAML::Node& key, const std::string& path, const YAML::Node& value) {
  const auto field = std::ranges::find(fields_, path, &Field::path);
  if (field != fields_.end()) {
    assign(*field, key, value);
  } else if (is_section(path)) {
    read(value, path);
  } else {
    unknown(key, path);
  }
}

void YamlReader::assign(const Field& field, const YAML::Node& key, const YAML::Node& value) {
  std::optional<std::string> wrong;
  if (value.IsSequence()) {
    assign_list(field, value);
  } else if (value.IsScalar() || value.IsNull()) {
    wrong = field.assign(value.IsNull() ? "" : value.as<std::string>());
  } else {
    wrong = cat("a section is not ", field.kind());
  }
  if (wrong) {
    problem(value.IsNull() ? key : value, cat(field.path, ": ", *wrong));  // nothing stands on no line
  }
}

void YamlReader::assign_list(const Field& field, const YAML::Node& list) {
  if (const auto wrong = field.assign_list({})) {
    problem(list, cat(field.path, ": ", *wrong));
    return;
  }
  std::vector<std::string> items;
  for (const auto& item : list) {
    if (item.IsMap() || item.IsSequence()) {
      problem(item, cat(field.path, ": a ", item.IsMap() ? "section" : "list", " is not an item of a list"));
    } else {
      items.push_back(item.as<std::string>());
    }
  }
  (void)field.assign_list(std::move(items));
}

bool YamlReader::is_section(const std::string& path) const {
  return std::ranges::any_of(fields_, [&](const Field& field) { return field.path.starts_with(path + "."); });
}

void YamlReader::unknown(const YAML::Node& key, const std::string& path) { problem(key, unknown_key(path, fields_)); }

void YamlReader::problem(const YAML::Node& node, const std::string& text) {
  problems_.push_back(cat(file_, ":", node.Mark().line + 1, ": ", text));
}

}  // namespace bertcram::config
