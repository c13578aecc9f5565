#include "bertcram/checkpoint/sentence_modules.h"

#include <nlohmann/json.hpp>
#include <string>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"

namespace bertcram::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// The one pooling that is on: "mean", "cls", … Folders before sentence-transformers 5 have a flag for each.
std::string pooling_name(const json& config, const std::string& where) {
  if (const auto mode = config.find("pooling_mode"); mode != config.end()) {
    return mode->is_string() ? mode->get<std::string>() : mode->dump();
  }
  std::string found;
  for (const auto& [flag, name] :
       {std::pair("pooling_mode_cls_token", "cls"), std::pair("pooling_mode_mean_tokens", "mean"),
        std::pair("pooling_mode_max_tokens", "max"),
        std::pair("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        std::pair("pooling_mode_weightedmean_tokens", "weightedmean"),
        std::pair("pooling_mode_lasttoken", "lasttoken")}) {
    if (config.value(flag, false)) {
      found += (found.empty() ? "" : "+") + std::string(name);
    }
  }
  return found.empty() ? throw DataError(cat(where, ": no pooling is on")) : found;
}

/// @throws DataError if the file is no JSON object
json read_object(const fs::path& file) {
  json object;
  try {
    object = util::parse_json(util::read_file(file));
  } catch (const json::exception& error) {
    throw DataError(cat(file.string(), ": not valid JSON (", util::json_error_text(error.what()), ")"));
  }
  return object.is_object() ? object : throw DataError(cat(file.string(), ": damaged, expected a JSON object"));
}

/// @throws DataError for a setting that changes vectors and is not computed here
void refuse_setting(const fs::path& file, const std::string& setting) {
  throw DataError(cat(file.string(), ": ", setting, " is not supported; --pooling mean or cls goes without"));
}

config::Pooling read_pooling(const fs::path& file) {
  const json config = read_object(file);
  std::string name;
  try {
    name = pooling_name(config, file.string());
  } catch (const json::exception& error) {
    throw DataError(cat(file.string(), ": damaged (", util::json_error_text(error.what()), ")"));
  }
  if (name != "mean" && name != "cls") {
    refuse_setting(file, cat("the pooling '", name, "'"));
  }
  return name == "mean" ? config::Pooling::kMean : config::Pooling::kCls;
}

int64_t read_max_tokens(const fs::path& file) {
  if (!fs::exists(file)) {
    return 0;
  }
  const json config = read_object(file);
  if (const auto lower = config.find("do_lower_case"); lower != config.end() && *lower != false) {
    refuse_setting(file, "do_lower_case");
  }
  const auto found = config.find("max_seq_length");
  if (found == config.end() || found->is_null()) {
    return 0;
  }
  constexpr int64_t kFewest = 3;
  if (!found->is_number_integer() || *found < kFewest) {
    throw DataError(
        cat(file.string(), ": max_seq_length is ", found->dump(), ", expected a number of at least ", kFewest));
  }
  return *found;
}

/// Texts that sentence-transformers puts in front of every text.
void refuse_prompt(const fs::path& file) {
  if (!fs::exists(file)) {
    return;
  }
  const json config = read_object(file);
  if (const auto prompt = config.find("default_prompt_name"); prompt != config.end() && !prompt->is_null()) {
    refuse_setting(file, "default_prompt_name");
  }
}

}  // namespace

SentenceModules read_sentence_modules(const fs::path& directory) {
  SentenceModules modules;
  const fs::path list = directory / "modules.json";
  if (!fs::exists(list)) {
    return modules;
  }
  refuse_prompt(directory / "config_sentence_transformers.json");
  bool has_pooling = false;
  try {
    for (const json& module : util::parse_json(util::read_file(list))) {
      const auto type = module.at("type").get<std::string>();
      const auto kind = type.substr(type.rfind('.') + 1);
      const fs::path folder = directory / module.at("path").get<std::string>();
      if (kind == "Transformer") {
        modules.max_tokens = read_max_tokens(folder / "sentence_bert_config.json");
      } else if (kind == "Pooling") {
        modules.pooling = read_pooling(folder / "config.json");
        has_pooling = true;
      } else if (kind == "Normalize") {
        modules.normalize = true;
      } else {
        refuse_setting(list, cat("the module '", kind, "'"));
      }
    }
  } catch (const json::exception& error) {
    throw DataError(cat(list.string(), ": damaged (", util::json_error_text(error.what()), ")"));
  }
  if (!has_pooling) {
    throw DataError(cat(list.string(), ": it names no Pooling; --pooling mean or cls goes without"));
  }
  return modules;
}

}  // namespace bertcram::checkpoint
