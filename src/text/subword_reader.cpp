// tokenizer.json of type Unigram or BPE → SubwordDefinition. What would change ids and is not built in is refused by
// name.

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "bertcram/text/special_roles.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json_fields.h"
#include "frame_reader.h"
#include "hub_pipeline_reader.h"
#include "named_token.h"
#include "unigram.h"
#include "vocab_map.h"

namespace bertcram::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void read_unigram(const util::JsonFields& model, SubwordDefinition& definition) {
  const json& vocab = require_list(model, "vocab");
  for (size_t i = 0; i < vocab.size(); ++i) {
    const json& entry = vocab[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number() ||
        !std::isfinite(entry[1].get<double>())) {
      model.fail("vocab", cat("has as entry ", i, " ", util::JsonFields::shown(entry), "; expected [piece, score]"));
    }
    definition.tokens.push_back(entry[0].get<std::string>());
    definition.scores.push_back(entry[1].get<double>());
  }
  const auto unk_id = model.get<int64_t>("unk_id", -1);
  if (unk_id < 0 || unk_id >= static_cast<int64_t>(vocab.size())) {
    model.fail("unk_id", cat("is ", unk_id, " or missing; expected the id of one of the ", vocab.size(), " pieces"));
  }
  definition.unk_id = static_cast<int32_t>(unk_id);
}

std::pair<std::string, std::string> read_merge(const util::JsonFields& model, const json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const auto text = merge.get<std::string>();
    if (const auto parts = util::split(text, ' '); parts.size() == 2) {
      return {std::string(parts[0]), std::string(parts[1])};
    }
  }
  model.fail("merges", cat("has the entry ", util::JsonFields::shown(merge), "; expected two pieces"));
}

void read_merges(const util::JsonFields& model, SubwordDefinition& definition) {
  std::unordered_map<std::string, int32_t> ids;
  for (size_t i = 0; i < definition.tokens.size(); ++i) {
    ids.emplace(definition.tokens[i], static_cast<int32_t>(i));
  }
  const auto find = [&](const std::string& piece) {
    const auto entry = ids.find(piece);
    if (entry == ids.end()) {
      model.fail("merges", cat("names '", util::excerpt(piece), "', which is not in the vocabulary"));
    }
    return entry->second;
  };
  for (const json& merge : require_list(model, "merges")) {
    const auto [left, right] = read_merge(model, merge);
    definition.merges.emplace_back(find(left), find(right));
  }
  if (const auto unk = model.get<std::string>("unk_token", ""); !unk.empty()) {
    const auto entry = ids.find(unk);
    if (entry == ids.end()) {
      model.fail("unk_token", cat("is '", util::excerpt(unk), "', which is not in the vocabulary"));
    }
    definition.unk_id = entry->second;
  }
}

void read_bpe(const util::JsonFields& model, SubwordDefinition& definition) {
  if (const json* dropout = model.find("dropout"); dropout != nullptr && *dropout != 0) {
    model.fail("dropout",
               cat("is ", util::JsonFields::shown(*dropout), ", which makes ids random; only null is supported"));
  }
  model.require<std::string>("continuing_subword_prefix", "", "");
  model.require<std::string>("end_of_word_suffix", "", "");
  definition.fuse_unk = model.get("fuse_unk", false);
  definition.ignore_merges = model.get("ignore_merges", false);
  definition.tokens = read_vocab_map(model);
  read_merges(model, definition);
}

void read_model(const util::JsonFields& model, SubwordDefinition& definition) {
  const bool is_unigram = model.get<std::string>("type", "") == "Unigram";
  definition.model = is_unigram ? SubwordModel::kUnigram : SubwordModel::kBpe;
  if (is_unigram) {
    read_unigram(model, definition);
  } else {
    read_bpe(model, definition);
  }
  definition.model_tokens = definition.tokens.size();
  definition.byte_fallback = model.get("byte_fallback", false);
  if (definition.byte_fallback) {
    const Vocabulary vocabulary(definition.tokens, model.where());
    if (!find_byte_pieces(vocabulary, definition.model_tokens)) {
      model.fail("byte_fallback", "is true, but the vocabulary lacks some of <0x00> to <0xFF>");
    }
  }
}

void read_added(const util::JsonFields& root, SubwordDefinition& definition) {
  if (root.find("added_tokens") == nullptr) {
    return;
  }
  const json& list = require_list(root, "added_tokens");
  for (size_t i = 0; i < list.size(); ++i) {
    const util::JsonFields fields(list[i], cat(root.where(), ": added_tokens[", i, "]"));
    fields.require("single_word", false, false);
    const auto id = fields.get<int64_t>("id", -1);
    const auto content = fields.get<std::string>("content", "");
    const auto size = static_cast<int64_t>(definition.tokens.size());
    if (id == size && !content.empty()) {
      definition.tokens.push_back(content);
    } else if (id < 0 || id > size || content.empty() || definition.tokens[static_cast<size_t>(id)] != content) {
      throw DataError(cat(fields.where(), ": the added token '", util::excerpt(content), "' has the id ", id,
                          ", which is neither its own in the vocabulary nor the next one, ", size));
    }
    if (std::ranges::find(definition.added, id, &AddedToken::id) != definition.added.end()) {
      throw DataError(cat(fields.where(), ": the added token '", util::excerpt(content), "' is listed twice"));
    }
    definition.added.push_back({.content = content,
                                .id = static_cast<int32_t>(id),
                                .lstrip = fields.get("lstrip", false),
                                .rstrip = fields.get("rstrip", false),
                                .normalized = fields.get("normalized", true),
                                .special = fields.get("special", false)});
  }
}

/// The names that a file beside tokenizer.json gives to roles.
void read_named_roles(const fs::path& path, SubwordDefinition& definition) {
  if (!fs::exists(path)) {
    return;
  }
  const json document = util::parse_json_file(path);
  const util::JsonFields fields(document, path.string());
  for (const RoleNames& role : kRoleNames) {
    const std::string key = cat(role.role, "_token");
    const std::string name = read_named_token(fields, key, "");
    if (name.empty()) {
      continue;
    }
    const auto token = std::ranges::find(definition.tokens, name);
    if (token == definition.tokens.end()) {
      fields.fail(key, cat("is '", util::excerpt(name), "', which tokenizer.json does not have"));
    }
    const auto id = static_cast<int32_t>(token - definition.tokens.begin());
    definition.roles.*role.id = id;
    if (std::ranges::find(definition.added, id, &AddedToken::id) == definition.added.end()) {
      definition.added.push_back({.content = name, .id = id});  // as transformers does
    }
  }
}

void set_roles(const fs::path& directory, SubwordDefinition& definition) {
  if (!directory.empty()) {
    read_named_roles(directory / "special_tokens_map.json", definition);
    read_named_roles(directory / "tokenizer_config.json", definition);
  }
  if (!definition.roles.unk) {
    definition.roles.unk = definition.unk_id;
  }
  fill_usual_roles(definition.roles, [&](std::string_view name) -> std::optional<int32_t> {
    const auto token = std::ranges::find(definition.added, name, &AddedToken::content);
    return token == definition.added.end() ? std::nullopt : std::optional(token->id);
  });
}

/// [CLS] and [SEP] are those of the post-processor; with another one there are none.
void check_frame(const util::JsonFields& root, SubwordDefinition& definition) {
  const json* processor = root.find("post_processor");
  if (processor == nullptr) {
    return;
  }
  const auto frame = processor->is_object() ? read_frame(*processor) : std::nullopt;
  if (frame && !agrees_with(*frame, definition.tokens)) {
    root.fail("post_processor", cat("puts other ids around a text than those of '", util::excerpt(frame->cls),
                                    "' and '", util::excerpt(frame->sep), "', which is not supported"));
  }
  const auto id_of = [&](const std::string& name) -> std::optional<int32_t> {
    const auto token = std::ranges::find(definition.tokens, name);
    return token == definition.tokens.end() ? std::nullopt
                                            : std::optional(static_cast<int32_t>(token - definition.tokens.begin()));
  };
  definition.roles.cls = frame ? id_of(frame->cls) : std::nullopt;
  definition.roles.sep = frame ? id_of(frame->sep) : std::nullopt;
  if (!definition.roles.cls || !definition.roles.sep) {
    definition.no_frame_reason =
        cat("the post_processor in tokenizer.json, ", util::excerpt(util::text_member(*processor, "type")),
            ", does not put one token before and one behind a text");
  }
}

}  // namespace

bool is_subword_json(const json& document, const std::string& where) {
  const util::JsonFields model = util::JsonFields(document, where).object("model");
  const auto type = model.get<std::string>("type", "");
  if (type != "WordPiece" && type != "Unigram" && type != "BPE") {
    refuse_type(model, type, "are WordPiece, Unigram and BPE");
  }
  return type != "WordPiece";
}

SubwordDefinition read_subword_json(const json& document, const std::string& where, const fs::path& directory) {
  const util::JsonFields root(document, where);
  SubwordDefinition definition;
  read_model(root.object("model"), definition);
  if (root.find("normalizer") != nullptr) {
    read_normalizer(root.object("normalizer"), definition.normalizer);
  }
  if (root.find("pre_tokenizer") != nullptr) {
    read_pre_tokenizer(root.object("pre_tokenizer"), definition.split);
  }
  check_first_word(root, definition.normalizer, definition.split);
  read_added(root, definition);
  set_roles(directory, definition);
  check_frame(root, definition);
  json kept = document;
  kept["truncation"] = nullptr;  // how long texts may be is not the tokenizer's to say
  kept["padding"] = nullptr;
  definition.json = util::json_text(kept);
  for (const char* other : {"version", "truncation", "padding", "post_processor", "decoder"}) {
    kept.erase(other);
  }
  definition.content_hash = util::hash128(util::json_text(kept)).hex();
  return definition;
}

}  // namespace bertcram::text
