#pragma once
// Command-line flags for the fields of a configuration: names, help and types come from the fields themselves.

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <vector>

#include "bertcram/config/resolve.h"
#include "command.h"

namespace bertcram::cli {

/// Collects what the user set; the values themselves are checked when they are applied. Copies share what they collect.
class ConfigFlags {
 public:
  explicit ConfigFlags(CLI::App& app) : app_(app), given_(std::make_shared<Given>()) {}

  /// `--config FILE` (repeatable) and `--set KEY=VALUE` (repeatable).
  void add_config_options();
  /// `--name` for every field that is not inside a section.
  void add_top_level(const std::vector<config::Field>& fields);
  /// A dedicated flag for one field.
  void add(const std::string& flag, const std::string& path, const std::vector<config::Field>& fields);
  /// `--threads`, `--device`, `--precision`.
  void add_runtime(const std::vector<config::Field>& fields);

  /// Applies files, then --set, then flags. @throws ConfigError, DataError
  void apply(const std::vector<config::Field>& fields, const Session& session) const;

 private:
  struct Given {
    std::vector<std::string> files;
    std::vector<std::string> sets;
    std::vector<config::Override> flags;
  };

  CLI::App& app_;
  std::shared_ptr<Given> given_;
};

/// "vocab_size" → "--vocab-size"
std::string flag_name(const std::string& field_path);

}  // namespace bertcram::cli
