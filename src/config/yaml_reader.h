#pragma once

#include <yaml-cpp/yaml.h>

#include <optional>
#include <string>
#include <vector>

#include "bertcram/config/field.h"

namespace bertcram::config {

/// Reads one YAML tree into fields and collects what is wrong with it, each with its line.
class YamlReader {
 public:
  /// @param file  names the text in messages
  YamlReader(const std::vector<Field>& fields, std::string file, std::vector<std::string>& problems)
      : fields_(fields), file_(std::move(file)), problems_(problems) {}

  /// @param prefix  path of the section that the node holds; empty for all of it
  void read(const YAML::Node& node, const std::string& prefix);
  /// @return nullopt, and a problem, if the key is a list or a section
  std::optional<std::string> key_of(const YAML::Node& node);
  void problem(const YAML::Node& node, const std::string& text);

 private:
  void read_entry(const YAML::Node& key, const std::string& path, const YAML::Node& value);
  void assign(const Field& field, const YAML::Node& key, const YAML::Node& value);
  void assign_list(const Field& field, const YAML::Node& list);
  bool is_section(const std::string& path) const;
  void unknown(const YAML::Node& key, const std::string& path);

  const std::vector<Field>& fields_;
  std::string file_;
  std::vector<std::string>& problems_;
};

}  // namespace bertcram::config
