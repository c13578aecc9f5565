#pragma once
// The only way from YAML text to nodes; the few files that need it see yaml-cpp.

#include <yaml-cpp/node/node.h>

#include <optional>
#include <string>
#include <vector>

namespace bertcram::config {

/// The one document of a YAML text, or nullopt if it holds none, is no YAML or holds several; the latter two are added to
/// `problems` as `where:line: …`.
std::optional<YAML::Node> read_yaml_document(const std::string& text, const std::string& where,
                                             std::vector<std::string>& problems);

}  // namespace bertcram::config
