#include "bertcram/config/resolve.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "bertcram/config/yaml_document.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/text.h"
#include "unknown_key.h"
#include "yaml_reader.h"

namespace bertcram::config {
namespace {

void read_yaml(const std::vector<Field>& fields, const std::string& text, const std::string& where,
               std::vector<std::string>& problems) {
  try {
    if (const auto document = read_yaml_document(text, where, problems)) {
      YamlReader(fields, where, problems).read(*document, "");
    }
  } catch (const YAML::Exception& error) {
    problems.push_back(cat(where, ":", error.mark.line + 1, ": not valid YAML: ", error.msg));
  }
}

void throw_problems(const std::vector<std::string>& problems) {
  if (!problems.empty()) {
    throw ConfigError(util::join(problems, "\n"));
  }
}

void apply_override(const std::vector<Field>& fields, const Override& override, std::vector<std::string>& problems) {
  const auto field = std::ranges::find(fields, override.path, &Field::path);
  if (field == fields.end()) {
    problems.push_back(cat(override.origin, ": ", unknown_key(override.path, fields)));
    return;
  }
  const bool is_list = std::holds_alternative<std::vector<std::string>*>(field->value);
  const bool whole_list = is_list && (override.values.size() != 1 || !override.origin.starts_with("--set"));
  const auto wrong = whole_list ? field->assign_list(override.values)
                                : field->assign(override.values.empty() ? "" : override.values.back());
  if (wrong) {
    problems.push_back(cat(override.origin, ": ", *wrong));
  }
}

/// The alternatives that earlier sources set, put aside while another source is read.
class EarlierChoice {
 public:
  explicit EarlierChoice(const std::vector<Field>& fields) {
    for (const Field& field : fields) {
      if (field.is_alternative) {
        std::visit([&](const auto& value) { put_aside(field, value); }, field.value);
      }
    }
  }

  /// Back, if the source made no choice of its own.
  void settle() const {
    if (std::ranges::all_of(unset_, [](const auto& each) { return each.first->text() == each.second; })) {
      std::ranges::for_each(restore_, [](const auto& restore) { restore(); });
    }
  }

 private:
  template <class T>
  void put_aside(const Field& field, T* value) {
    restore_.push_back([value, earlier = *value] { *value = earlier; });
    *value = T();
    unset_.emplace_back(&field, field.text());
  }
  void put_aside(const Field& field, const EnumRef&) { BC_CHECK(false, field.path); }

  std::vector<std::function<void()>> restore_;
  std::vector<std::pair<const Field*, std::string>> unset_;  ///< and its text then
};

}  // namespace

Override parse_set_argument(const std::string& argument) {
  const size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError(cat("--set ", argument, ": expected KEY=VALUE, e.g. --set schedule.warmup_frac=0.1"));
  }
  return {argument.substr(0, equals), {argument.substr(equals + 1)}, "--set " + argument};
}

void apply_sources(const std::vector<Field>& fields, const Sources& sources) {
  std::vector<std::string> problems;
  for (const auto& file : sources.files) {
    const EarlierChoice earlier(fields);
    read_yaml(fields, util::read_file(file), file.string(), problems);
    earlier.settle();
  }
  const EarlierChoice earlier(fields);
  for (const Override& override : sources.overrides) {
    apply_override(fields, override, problems);
  }
  earlier.settle();
  throw_problems(problems);
}

void apply_yaml(const std::vector<Field>& fields, const std::string& yaml, const std::string& where) {
  std::vector<std::string> problems;
  read_yaml(fields, yaml, where, problems);
  throw_problems(problems);
}

std::string dump_yaml(const std::vector<Field>& fields, DumpStyle style) {
  std::string text;
  std::vector<std::string> open;  // sections the last line stands in
  for (const Field& field : fields) {
    std::vector<std::string> parts;
    for (const std::string_view part : util::split(field.path, '.')) {
      parts.emplace_back(part);
    }
    const std::vector<std::string> sections(parts.begin(), parts.end() - 1);
    for (size_t depth = 0; depth < sections.size(); ++depth) {
      const bool is_open =
          depth < open.size() &&
          std::equal(sections.begin(), sections.begin() + static_cast<std::ptrdiff_t>(depth) + 1, open.begin());
      if (!is_open) {
        text += std::string(2 * depth, ' ') + sections[depth] + ":\n";
      }
    }
    open = sections;
    const std::string indent(2 * sections.size(), ' ');
    if (style == DumpStyle::kCommented) {
      const auto lines = util::split(field.help, '\n');
      text += cat(indent, "# ", util::join(std::vector<std::string>(lines.begin(), lines.end()), "\n" + indent + "# "),
                  " (", field.kind(), ")\n");
    }
    const bool is_hidden = field.is_private && style == DumpStyle::kPlain;
    text += cat(indent, parts.back(), ": ", is_hidden ? "\"\"" : field.text(), "\n");
  }
  return text;
}

std::string fingerprint(const std::vector<Field>& fields) {
  std::string canonical;
  for (const Field& field : fields) {
    if (field.is_tracked) {
      canonical += cat(field.path, "=", field.text(), "\n");
    }
  }
  return util::hash128(canonical).hex();
}

std::vector<std::string> differences(const std::vector<Field>& before, const std::vector<Field>& after) {
  BC_CHECK(before.size() == after.size());
  std::vector<std::string> differing;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i].is_tracked && before[i].text() != after[i].text()) {
      differing.push_back(cat(before[i].path, ": ", before[i].text(), " -> ", after[i].text()));
    }
  }
  return differing;
}

std::filesystem::path find_config(const std::string& name, const std::vector<std::filesystem::path>& folders) {
  std::error_code ignored;
  const auto status = std::filesystem::status(name, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) {  // or a pipe
    return name;
  }
  std::vector<std::string> known;
  for (const auto& folder : folders) {
    for (const std::string& candidate : {name, name + ".yaml"}) {
      if (std::filesystem::is_regular_file(folder / candidate)) {
        return folder / candidate;
      }
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
      known.push_back(entry.path().filename().string());
    }
  }
  std::ranges::sort(known);
  throw ConfigError(cat("--config ", name, ": no such file, nor one of the installed configs (",
                        known.empty() ? "none found" : util::join(known, ", "), ")"));
}

}  // namespace bertcram::config
