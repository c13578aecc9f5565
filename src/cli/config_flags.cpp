#include "config_flags.h"

#include <algorithm>

#include "bertcram/util/error.h"

namespace bertcram::cli {
namespace {

constexpr int kAnyNumber = 1 << 20;

std::string flag_help(const config::Field& field) {
  const std::string default_text = field.text();
  const bool shows_default = default_text != "\"\"" && default_text != "[]" && default_text != "false";
  return field.help + (shows_default ? " [" + default_text + "]" : "");
}

}  // namespace

std::string flag_name(const std::string& field_path) {
  std::string flag = "--" + field_path;
  std::ranges::replace(flag, '_', '-');
  return flag;
}

void take_count(CLI::Option* option, int64_t least, int64_t most) {
  const auto read = [least, most](std::string& word) -> std::string {
    int64_t count = 0;
    config::FieldVisitor visitor;
    visitor("", count, "", config::InRange{static_cast<double>(least), static_cast<double>(most)});
    const auto wrong = visitor.take().front().assign(word);
    word = std::to_string(count);
    return wrong.value_or("");
  };
  option->transform(CLI::Validator(read, ""))->type_name(cat(least, "..", most));
}

void ConfigFlags::add_config_options() {
  app_.add_option("--config", given_->files, "YAML configuration, by path or installed name; repeatable, later wins")
      ->expected(1)
      ->type_name("FILE")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app_.add_option("--set", given_->sets, "one value of the configuration, e.g. --set optim.learning_rate=2e-3")
      ->expected(1)
      ->type_name("KEY=VALUE")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void ConfigFlags::add(const std::string& flag, const std::string& path, const std::vector<config::Field>& fields) {
  const auto field = std::ranges::find(fields, path, &config::Field::path);
  BC_CHECK(field != fields.end(), path);
  const auto record = [given = given_, flag, path](std::vector<std::string> values) {
    given->flags.push_back({path, std::move(values), flag});
  };
  if (std::holds_alternative<bool*>(field->value)) {
    app_.add_flag_callback(
        flag, [record] { record({"true"}); }, flag_help(*field));
    return;
  }
  const bool is_list = std::holds_alternative<std::vector<std::string>*>(field->value);
  auto* option = app_.add_option_function<std::vector<std::string>>(flag, record, flag_help(*field));
  option->type_name(is_list ? "PATH…" : "VALUE");
  if (is_list) {
    option->expected(1, kAnyNumber);
  } else {
    option->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

void ConfigFlags::add_top_level(const std::vector<config::Field>& fields) {
  for (const config::Field& field : fields) {
    if (field.path.find('.') == std::string::npos) {
      add(flag_name(field.path), field.path, fields);
    }
  }
}

void ConfigFlags::add_runtime(const std::vector<config::Field>& fields) {
  for (const char* name : {"threads", "device", "precision"}) {
    if (const std::string path = std::string("runtime.") + name;
        std::ranges::find(fields, path, &config::Field::path) != fields.end()) {
      add(std::string("--") + name, path, fields);
    }
  }
}

bool ConfigFlags::gives(const std::string& path) const {
  return std::ranges::find(given_->flags, path, &config::Override::path) != given_->flags.end() ||
         std::ranges::any_of(given_->sets, [&](const std::string& set) { return set.starts_with(path + "="); });
}

void ConfigFlags::apply(const std::vector<config::Field>& fields, const Session& session) const {
  config::Sources sources;
  for (const std::string& file : given_->files) {
    sources.files.push_back(config::find_config(file, session.config_folders));
  }
  for (const std::string& argument : given_->sets) {
    sources.overrides.push_back(config::parse_set_argument(argument));
  }
  sources.overrides.insert(sources.overrides.end(), given_->flags.begin(), given_->flags.end());
  config::apply_sources(fields, sources);
}

}  // namespace bertcram::cli
