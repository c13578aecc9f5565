#pragma once
// Parts of tokenizer.json that all kinds of tokenizers write alike.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "bertcram/util/file.h"
#include "bertcram/util/json.h"

namespace bertcram::text {

inline nlohmann::json added_token_json(const std::string& content) {
  return {{"content", content}, {"lstrip", false},      {"normalized", false},
          {"rstrip", false},    {"single_word", false}, {"special", true}};
}

inline nlohmann::json template_item(const char* kind, const std::string& id, int type_id) {
  return {{kind, {{"id", id}, {"type_id", type_id}}}};
}

/// The post-processor that makes "[CLS] A [SEP]" and "[CLS] A [SEP] B [SEP]".
inline nlohmann::json frame_json(const std::string& cls, int32_t cls_id, const std::string& sep, int32_t sep_id) {
  const auto special = [](const std::string& token, int32_t id) {
    return nlohmann::json{{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  };
  return {
      {"type", "TemplateProcessing"},
      {"single",
       {template_item("SpecialToken", cls, 0), template_item("Sequence", "A", 0),
        template_item("SpecialToken", sep, 0)}},
      {"pair",
       {template_item("SpecialToken", cls, 0), template_item("Sequence", "A", 0), template_item("SpecialToken", sep, 0),
        template_item("Sequence", "B", 1), template_item("SpecialToken", sep, 1)}},
      {"special_tokens", {{cls, special(cls, cls_id)}, {sep, special(sep, sep_id)}}}};
}

inline void write_json(const std::filesystem::path& path, const nlohmann::json& document, int indent = 2) {
  util::write_file_atomically(path, util::json_text(document, indent) + "\n");
}

}  // namespace bertcram::text
