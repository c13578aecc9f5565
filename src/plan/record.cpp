#include "bertcram/plan/record.h"

#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::plan {
namespace {

using nlohmann::json;

std::string_view own_part(const Machine& machine) {
  if (machine.has_kernels) {
    return machine.has_product_kernels ? ", kernels" : ", kernels without products";
  }
  return machine.sums_gradients ? ", sums" : "";
}

std::string key_of(const Machine& machine) {
  const auto precision = config::enum_words(config::Precision{})[static_cast<size_t>(machine.precision)];
  return cat(machine.is_gpu ? "gpu " : "cpu ", machine.model,
             machine.is_gpu ? "" : cat(", ", machine.threads, " threads"), ", ", precision, own_part(machine));
}

/// An object; empty if there is none that can be read.
json records() {
  const auto file = record_file();
  std::error_code ignored;
  if (!file || !std::filesystem::exists(*file, ignored)) {
    return json::object();
  }
  try {
    json found = util::try_parse_json(util::read_file(*file));
    return found.is_object() ? found : json::object();
  } catch (const Error&) {
    return json::object();
  }
}

}  // namespace

std::optional<std::filesystem::path> record_file() {
  const auto below = [](const char* variable, const char* folder) -> std::optional<std::filesystem::path> {
    const char* const value = std::getenv(variable);
    if (value == nullptr || *value != '/') {  // the XDG specification: others are ignored
      return std::nullopt;
    }
    return std::filesystem::path(value) / folder / "machines.json";
  };
  const auto given = below("XDG_CACHE_HOME", "bertcram");
  return given ? given : below("HOME", ".cache/bertcram");
}

std::optional<Record> find_record(const Machine& machine) {
  const json all = records();
  const auto found = all.find(key_of(machine));
  if (found == all.end() || !found->is_object()) {
    return std::nullopt;
  }
  const auto number = [&](const char* name) {
    const auto value = found->find(name);
    return value != found->end() && value->is_number() ? value->get<double>() : 0.0;
  };
  Record record = {.measured = number("measured"), .predicted = number("predicted"), .what = {}, .unix_time = 0};
  if (!(record.measured > 0) || !(record.predicted > 0)) {
    return std::nullopt;
  }
  const auto what = found->find("what");
  record.what = what != found->end() && what->is_string() ? what->get<std::string>() : "";
  record.unix_time = static_cast<int64_t>(number("unix_time"));
  return record;
}

void keep_record(const Machine& machine, const Record& record) {
  const auto file = record_file();
  if (!file) {
    return;
  }
  try {
    json all = records();
    all[key_of(machine)] = {{"measured", record.measured},
                            {"predicted", record.predicted},
                            {"what", record.what},
                            {"unix_time", static_cast<int64_t>(std::time(nullptr))}};
    std::filesystem::create_directories(file->parent_path());
    util::write_file_atomically(*file, all.dump(2) + "\n");
  } catch (const std::exception& error) {
    util::log_warning("bench", cat("the result is not kept for 'bertcram plan': ", error.what()));
  }
}

}  // namespace bertcram::plan
