#pragma once
// Command-line flags for the fields of a configuration: names, help and types come from the fields themselves.

#include <CLI/App.hpp>
#include <cstdint>
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
  /// `--threads`, `--device`, `--precision`, if the configuration has them.
  void add_runtime(const std::vector<config::Field>& fields);

  /// Whether the command line itself sets the field, by its flag or --set; a configuration file does not count.
  bool gives(const std::string& path) const;

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

/// The set-up of a command whose options are one configuration and --json.
/// @param run  gets the resolved configuration, whether --json was given, the session, and if it wants them the flags
template <class Config, class... Flags>
Run setup_configured(CLI::App& app, const char* json_help,
                     void (*run)(Config&, bool as_json, const Session&, const Flags&...)) {
  const auto config = std::make_shared<Config>();
  const auto as_json = std::make_shared<bool>(false);
  ConfigFlags flags(app);
  flags.add_top_level(config::fields_of(*config));
  flags.add_runtime(config::fields_of(*config));
  flags.add_config_options();
  app.add_flag("--json", *as_json, json_help);
  return [config, as_json, flags, run](const Session& session) {
    flags.apply(config::fields_of(*config), session);
    if constexpr (sizeof...(Flags) == 0) {
      run(*config, *as_json, session);
    } else {
      run(*config, *as_json, session, flags);
    }
  };
}

/// For an option that is no field of a configuration: a whole number as those are written (2M), its range in the help.
void take_count(CLI::Option* option, int64_t least, int64_t most);

/// "vocab_size" → "--vocab-size"
std::string flag_name(const std::string& field_path);

}  // namespace bertcram::cli
