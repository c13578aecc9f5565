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

config::Pooling read_pooling(const fs::path& file) {
  const std::string name = pooling_name(json::parse(util::read_file(file)), file.string());
  if (name == "mean") {
    return config::Pooling::kMean;
  }
  if (name == "cls") {
    return config::Pooling::kCls;
  }
  throw DataError(
      cat(file.string(), ": the pooling '", name, "' is not supported; --pooling mean or cls goes without"));
}

int64_t read_max_tokens(const fs::path& file) {
  if (!fs::exists(file)) {
    return 0;
  }
  const json config = json::parse(util::read_file(file));
  const auto found = config.find("max_seq_length");
  return found == config.end() || found->is_null() ? 0 : found->get<int64_t>();
}

}  // namespace

SentenceModules read_sentence_modules(const fs::path& directory) {
  SentenceModules modules;
  const fs::path list = directory / "modules.json";
  if (!fs::exists(list)) {
    return modules;
  }
  try {
    for (const json& module : json::parse(util::read_file(list))) {
      const auto type = module.at("type").get<std::string>();
      const auto kind = type.substr(type.rfind('.') + 1);
      const fs::path folder = directory / module.at("path").get<std::string>();
      if (kind == "Transformer") {
        modules.max_tokens = read_max_tokens(folder / "sentence_bert_config.json");
      } else if (kind == "Pooling") {
        modules.pooling = read_pooling(folder / "config.json");
      } else if (kind == "Normalize") {
        modules.normalize = true;
      } else {
        throw DataError(
            cat(list.string(), ": the module '", kind, "' is not supported; --pooling mean or cls goes without"));
      }
    }
  } catch (const json::exception& error) {
    throw DataError(
        cat(list.string(), ": it, or a file that it names, is damaged (", util::json_error_text(error.what()), ")"));
  }
  return modules;
}

}  // namespace bertcram::checkpoint
