#include "unknown_key.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "bertcram/config/commands.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::config {
namespace {

/// What other programs call some of the keys, by their last part.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kOtherNames = {
    {{"lr", "learning_rate"}, {"batch_size", "rows"}, {"batch_size", "batch_rows"}}};

std::string last_part(const std::string& path) { return path.substr(path.rfind('.') + 1); }

/// Of a key and of every section it stands in.
std::vector<std::string> names_of(const std::vector<Field>& fields) {
  std::vector<std::string> names;
  for (const Field& field : fields) {
    for (size_t dot = field.path.find('.'); dot != std::string::npos; dot = field.path.find('.', dot + 1)) {
      names.push_back(field.path.substr(0, dot));
    }
    names.push_back(field.path);
  }
  return names;
}

/// The key with this last part whose path is most like the given one.
std::optional<std::string> key_ending(const std::string& last, const std::string& path,
                                      const std::vector<std::string>& names) {
  std::vector<std::string> keys;
  std::ranges::copy_if(names, std::back_inserter(keys), [&](const auto& name) { return last_part(name) == last; });
  const auto nearest =
      std::ranges::min_element(keys, {}, [&](const std::string& key) { return util::edit_distance(path, key); });
  return nearest == keys.end() ? std::nullopt : std::optional(*nearest);
}

std::optional<std::string> nearest_key(const std::string& path, const std::vector<std::string>& names) {
  const std::string last = last_part(path);
  if (auto key = key_ending(last, path, names)) {  // of another section, or of none
    return key;
  }
  for (const auto& [other, ours] : kOtherNames) {
    auto key = other == last ? key_ending(std::string(ours), path, names) : std::nullopt;
    if (key) {
      return key;
    }
  }
  if (auto name = util::nearest_name(path, names)) {
    return name;
  }
  constexpr size_t kFewLetters = 5;  // fewer are near to many words
  std::vector<std::string> last_parts;
  std::ranges::transform(names, std::back_inserter(last_parts), last_part);
  const auto nearest = last.size() < kFewLetters ? std::nullopt : util::nearest_name(last, last_parts);
  return nearest ? key_ending(*nearest, path, names) : std::nullopt;
}

std::vector<std::string> commands_with(const std::string& path) {
  std::vector<std::string> commands;
  for_each_command([&](const char* command, auto config) {
    const auto names = names_of(fields_of(config));
    if (std::ranges::find(names, path) != names.end()) {
      commands.emplace_back(command);
    }
  });
  return commands;
}

}  // namespace

std::string unknown_key(const std::string& path, const std::vector<Field>& fields) {
  const auto inside =
      std::ranges::find_if(fields, [&](const auto& field) { return field.path.starts_with(path + "."); });
  if (inside != fields.end()) {
    return cat("'", path, "' is a section; give one of its keys, such as '", inside->path, "'");
  }
  const auto commands = commands_with(path);
  auto nearest = nearest_key(path, names_of(fields));
  if (nearest && !commands.empty() && last_part(*nearest) != last_part(path)) {
    nearest.reset();  // it is no slip
  }
  std::string text = cat("unknown key '", path, "'", nearest ? "; did you mean '" + *nearest + "'?" : "");
  if (!commands.empty()) {
    text += cat(nearest ? " '" + path + "'" : "; it", " is a key of ", util::join(commands, ", "));
  }
  return text;
}

}  // namespace bertcram::config
