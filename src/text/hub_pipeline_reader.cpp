#include "hub_pipeline_reader.h"

#include <algorithm>

#include "base64.h"
#include "hub_normalizer.h"

#include "bertcram/util/json_fields.h"

namespace bertcram::text {
namespace {

using nlohmann::json;

NormalizerStep read_replace(const util::JsonFields& fields) {
  NormalizerStep step{
      .kind = NormalizerStep::Kind::kReplace, .pattern = "", .content = fields.get<std::string>("content", "")};
  const util::JsonFields pattern = fields.object("pattern");
  if (const auto text = pattern.get<std::string>("String", ""); !text.empty()) {
    step.pattern = text;
    return step;
  }
  const auto regex = pattern.get<std::string>("Regex", "");
  if (regex == " {2,}") {
    step.kind = NormalizerStep::Kind::kReplaceSpaces;
  } else if (regex == "\\A +") {
    step.kind = NormalizerStep::Kind::kReplaceLeading;
  } else if (regex == cat(kMetaspace, "+\\z")) {
    step.kind = NormalizerStep::Kind::kReplaceTrailing;
  } else {
    fields.fail("pattern", cat("of Replace is ", util::JsonFields::shown(*fields.find("pattern")),
                               "; supported are a text and the regular expressions ' {2,}', '\\A +' and '", kMetaspace,
                               "+\\z', as anything else would give other ids"));
  }
  return step;
}

void read_metaspace(const util::JsonFields& fields, WordSplit& split) {
  fields.require<std::string>("replacement", std::string(kMetaspace), std::string(kMetaspace));
  const auto scheme = fields.get<std::string>("prepend_scheme", "always");
  split.metaspace = true;
  split.before_metaspace = fields.get("split", true);
  if (scheme == "always") {
    split.prepend = WordSplit::Prepend::kAlways;
  } else if (scheme == "first") {
    split.prepend = WordSplit::Prepend::kFirst;
  } else if (scheme == "never") {
    split.prepend = WordSplit::Prepend::kNever;
  } else {
    fields.fail("prepend_scheme", cat("is '", util::excerpt(scheme), "'; supported are always, first and never"));
  }
  if (!fields.get("add_prefix_space", true) && split.prepend != WordSplit::Prepend::kNever) {
    fields.fail("add_prefix_space", cat("contradicts prepend_scheme '", scheme, "'; Hugging Face refuses it too"));
  }
}

}  // namespace

void refuse_type(const util::JsonFields& fields, const std::string& type, const char* supported) {
  fields.fail("type", cat(type.empty() ? "is missing" : cat("is '", util::excerpt(type), "'"), "; supported ",
                          supported, ", as anything else would give other ids"));
}

const json& require_list(const util::JsonFields& fields, const std::string& key) {
  const json* list = fields.find(key);
  if (list == nullptr || !list->is_array()) {
    fields.fail(key, "is missing or not a list");
  }
  return *list;
}

void read_normalizer(const util::JsonFields& fields, std::vector<NormalizerStep>& steps) {
  const auto type = fields.get<std::string>("type", "");
  if (type == "Sequence") {
    const json& list = require_list(fields, "normalizers");
    for (size_t i = 0; i < list.size(); ++i) {
      read_normalizer({list[i], cat(fields.where(), ".normalizers[", i, "]")}, steps);
    }
  } else if (type == "Precompiled") {
    const auto bytes = from_base64(fields.get<std::string>("precompiled_charsmap", ""));
    if (!bytes) {
      fields.fail("precompiled_charsmap", "is no base64; the file is damaged");
    }
    steps.push_back({.kind = NormalizerStep::Kind::kCharMap, .pattern = *bytes, .content = ""});
  } else if (type == "Strip") {
    steps.push_back({.kind = NormalizerStep::Kind::kStrip,
                     .pattern = "",
                     .content = "",
                     .strip_left = fields.get("strip_left", true),
                     .strip_right = fields.get("strip_right", true)});
  } else if (type == "Replace") {
    steps.push_back(read_replace(fields));
  } else if (type == "Prepend") {
    const auto content = fields.get<std::string>("prepend", std::string(kMetaspace));
    if (content.empty()) {
      fields.fail("prepend", "is empty, with which Hugging Face repeats characters; not supported");
    }
    steps.push_back({.kind = NormalizerStep::Kind::kPrepend, .pattern = "", .content = content});
  } else if (type == "Lowercase") {
    steps.push_back({.kind = NormalizerStep::Kind::kLowercase, .pattern = "", .content = ""});
  } else if (type == "NFC") {
    steps.push_back({.kind = NormalizerStep::Kind::kCompose, .pattern = "", .content = ""});
  } else {
    refuse_type(fields, type, "are Sequence, Precompiled, Strip, Replace, Prepend, Lowercase and NFC");
  }
}

void check_first_word(const util::JsonFields& root, const std::vector<NormalizerStep>& steps, const WordSplit& split) {
  using Kind = NormalizerStep::Kind;
  const auto may_remove = [](const NormalizerStep& step) {
    return (step.kind == Kind::kStrip && step.strip_left) || step.kind == Kind::kReplaceLeading ||
           step.kind == Kind::kCharMap ||
           ((step.kind == Kind::kReplace || step.kind == Kind::kReplaceSpaces) && step.content.empty());
  };
  if (split.metaspace && split.prepend == WordSplit::Prepend::kFirst && std::ranges::any_of(steps, may_remove)) {
    root.fail("pre_tokenizer",
              "has the prepend_scheme 'first' behind a normaliser that may remove what stands first, "
              "which is not supported, as it would give other ids");
  }
}

void read_pre_tokenizer(const util::JsonFields& fields, WordSplit& split) {
  const auto type = fields.get<std::string>("type", "");
  if (type == "Sequence") {
    const json& list = require_list(fields, "pretokenizers");
    for (size_t i = 0; i < list.size(); ++i) {
      read_pre_tokenizer({list[i], cat(fields.where(), ".pretokenizers[", i, "]")}, split);
    }
  } else if (type == "Metaspace" && !split.metaspace && !split.byte_level) {
    read_metaspace(fields, split);
  } else if (type == "WhitespaceSplit" && !split.metaspace && !split.byte_level) {
    split.at_white_space = true;
  } else if (type == "ByteLevel" && !split.metaspace && !split.at_white_space && !split.byte_level) {
    fields.require("use_regex", true, true);
    split.byte_level = true;
    split.prefix_space = fields.get("add_prefix_space", true);
  } else {
    refuse_type(fields, type, "are Metaspace, WhitespaceSplit, the second followed by the first, and ByteLevel alone");
  }
  if (split.at_white_space && split.metaspace && split.prepend == WordSplit::Prepend::kFirst) {
    fields.fail("prepend_scheme", "'first' after WhitespaceSplit is not supported, as it would give other ids");
  }
}

}  // namespace bertcram::text
