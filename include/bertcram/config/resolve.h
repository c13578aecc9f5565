#pragma once
// From defaults, YAML files and overrides to one validated configuration. All problems are reported at once, each with
// where it stands and the nearest name that exists.

#include <filesystem>
#include <string>
#include <vector>

#include "bertcram/config/field.h"

namespace bertcram::config {

/// One `path = value` from the command line.
struct Override {
  std::string path;                 ///< dotted field path
  std::vector<std::string> values;  ///< one scalar, or the items of a list
  std::string origin;               ///< how the user wrote it, e.g. "--vocab-size", for messages
};

/// Turns `a.b=c` from --set into an override. @throws ConfigError without an equals sign
Override parse_set_argument(const std::string& argument);

/// Where the values come from; later sources win: files in order, then overrides in order. Of `Alternative` fields the
/// last source that sets one counts alone; all overrides together are one source.
struct Sources {
  std::vector<std::filesystem::path> files;
  std::vector<Override> overrides;
};

/// Applies the sources to the fields. @throws ConfigError with one line per problem, `file:line: …` for YAML
/// @throws DataError if a file is missing
void apply_sources(const std::vector<Field>& fields, const Sources& sources);

/// Applies YAML text that stands somewhere else than in a file, e.g. in a checkpoint; `where` names it in messages.
void apply_yaml(const std::vector<Field>& fields, const std::string& yaml, const std::string& where);

enum class DumpStyle {
  kPlain,      ///< for the files of a run: private fields are left empty
  kCommented,  ///< with meaning and range, for who asks
};
/// YAML text of all fields, sections nested.
std::string dump_yaml(const std::vector<Field>& fields, DumpStyle style);

/// Hexadecimal hash of the tracked fields' names and values: equal when two runs compute the same thing.
std::string fingerprint(const std::vector<Field>& fields);

/// Tracked fields whose values differ, as "path: a -> b".
std::vector<std::string> differences(const std::vector<Field>& before, const std::vector<Field>& after);

/// Finds a config by path, otherwise among the installed configs (`NAME` or `NAME.yaml`).
/// @throws ConfigError naming the configs that exist
std::filesystem::path find_config(const std::string& name, const std::vector<std::filesystem::path>& folders);

}  // namespace bertcram::config
