#include "added_tokens_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "named_token.h"

namespace bertcram::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// The names that make a token of added_tokens.json a special one.
constexpr std::array kStandardNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                       "pad_token", "cls_token", "mask_token"};

/// The tokens found so far. Of several mentions of one the first counts, as in transformers.
class Collector {
 public:
  explicit Collector(const std::vector<std::string>& vocab) : vocab_(vocab) {
    for (size_t i = 0; i < vocab.size(); ++i) {
      ids_.emplace(vocab[i], static_cast<int64_t>(i));
    }
  }

  bool has(const std::string& content) const {
    return std::ranges::find(literals_, content, &WordPieceLiteral::content) != literals_.end();
  }

  /// @param id what the file says, if it says anything
  void add(const std::string& where, const WordPieceLiteral& token, std::optional<int64_t> id) {
    if (has(token.content)) {
      return;
    }
    const auto entry = ids_.find(token.content);
    if (entry == ids_.end()) {
      throw DataError(cat(where, ": the token '", util::excerpt(token.content), "' is not among the ", vocab_.size(),
                          " of vocab.txt; such additions are not supported"));
    }
    if (id && *id != entry->second) {
      throw DataError(cat(where, ": the token '", util::excerpt(token.content), "' has the id ", *id,
                          ", but vocab.txt gives it ", entry->second, "; make the two files agree"));
    }
    literals_.push_back(token);
  }

  /// A token as {"content": …, "normalized": …}.
  void add_object(const util::JsonFields& fields, std::optional<bool> special, std::optional<int64_t> id) {
    const auto content = fields.get<std::string>("content", "");
    if (has(content)) {
      return;
    }
    const bool is_special = special.value_or(fields.get("special", false));
    fields.require("single_word", false, false);
    fields.require("normalized", false, !is_special);
    add(fields.where(), {.content = content, .special = is_special}, id);
  }

  /// A special token as a string or an object; anything else is none.
  void add_special(const std::string& where, const json& value) {
    if (value.is_string()) {
      add(where, {.content = value.get<std::string>(), .special = true}, std::nullopt);
    } else if (value.is_object() && value.contains("content")) {
      add_object({value, where}, true, std::nullopt);
    }
  }

  std::vector<WordPieceLiteral> take() { return std::move(literals_); }

 private:
  const std::vector<std::string>& vocab_;
  std::unordered_map<std::string_view, int64_t> ids_;
  std::vector<WordPieceLiteral> literals_;
};

/// The further special tokens of a file: a list, or an object with names of its own.
const json* further_list(const util::JsonFields& fields) {
  const json* const extra = fields.find("extra_special_tokens");
  return extra != nullptr && !extra->empty() ? extra : fields.find("additional_special_tokens");
}

void add_further(const util::JsonFields& fields, Collector& collector) {
  const json* const list = further_list(fields);
  if (list == nullptr) {
    return;
  }
  if (!list->is_array() && !list->is_object()) {
    fields.fail("extra_special_tokens", "or 'additional_special_tokens' is not a list");
  }
  for (const json& token : *list) {
    collector.add_special(cat(fields.where(), ": extra or additional special tokens"), token);
  }
}

void add_decoder(const util::JsonFields& decoder, Collector& collector) {
  for (const auto& [key, value] : decoder.raw().items()) {
    const auto id = util::parse_int(key);
    if (!id) {
      decoder.fail(key, "is not an id");
    }
    collector.add_object({value, cat(decoder.where(), ": ", key)}, std::nullopt, id);
  }
}

void add_names(const util::JsonFields& names, Collector& collector) {
  for (const auto& [key, value] : names.raw().items()) {
    if (key.ends_with("_token")) {
      collector.add_special(cat(names.where(), ": ", key), value);
    }
  }
}

/// Whether transformers takes a token of added_tokens.json for a special one, which is not looked for after
/// normalisation. A list in special_tokens_map.json counts only by its newer name.
bool is_named_special(const std::string& content, const util::JsonFields& names, const util::JsonFields& config,
                      const util::JsonFields& map) {
  const auto is_it = [&](const json& value) {
    return (value.is_string() ? value.get<std::string>() : util::text_member(value, "content")) == content;
  };
  const auto holds = [&](const json* list) {
    return list != nullptr && list->is_array() && std::ranges::any_of(*list, is_it);
  };
  return std::ranges::any_of(kStandardNames,
                             [&](const char* name) {
                               const json* const value = names.find(name);
                               return value != nullptr && is_it(*value);
                             }) ||
         holds(further_list(config)) || holds(map.find("extra_special_tokens"));
}

void add_file(const util::JsonFields& file, const util::JsonFields& names, const util::JsonFields& config,
              const util::JsonFields& map, Collector& collector) {
  for (const auto& [content, id] : file.raw().items()) {
    if (!id.is_number_integer()) {
      file.fail(util::excerpt(content), "is not an id");
    }
    collector.add(file.where(), {.content = content, .special = true}, id.get<int64_t>());
    if (!is_named_special(content, names, config, map)) {
      throw DataError(cat(file.where(), ": the token '", util::excerpt(content),
                          "' is looked for after normalisation by Hugging Face, as tokenizer_config.json does not list "
                          "it as special; this is not supported, as it would give other ids"));
    }
  }
}

}  // namespace

void read_special_names(const util::JsonFields& fields, SpecialNames& names) {
  names.pad = read_named_token(fields, "pad_token", names.pad);
  names.unk = read_named_token(fields, "unk_token", names.unk);
  names.cls = read_named_token(fields, "cls_token", names.cls);
  names.sep = read_named_token(fields, "sep_token", names.sep);
  names.mask = read_named_token(fields, "mask_token", names.mask);
}

std::vector<WordPieceLiteral> read_tokens_beside_vocab(const fs::path& directory, const util::JsonFields& config,
                                                       const std::vector<std::string>& vocab, SpecialNames& special) {
  Collector collector(vocab);
  if (config.find("added_tokens_decoder") != nullptr) {
    add_decoder(config.object("added_tokens_decoder"), collector);
    add_names(config, collector);
    read_special_names(config, special);
  } else {
    const fs::path map_path = directory / "special_tokens_map.json";
    const json map_document = parse_if_there(map_path);
    const util::JsonFields map(map_document, map_path.string());
    json all_names = config.raw();
    all_names.update(map_document);
    const util::JsonFields names(all_names,
                                 map_document.empty()
                                     ? config.where()
                                     : cat(directory.string(), ": special_tokens_map.json or tokenizer_config.json"));
    const fs::path file_path = directory / "added_tokens.json";
    const json file = parse_if_there(file_path);
    add_file({file, file_path.string()}, names, config, map, collector);
    add_names(names, collector);
    add_further(map, collector);
    read_special_names(names, special);
  }
  add_further(config, collector);
  return collector.take();
}

}  // namespace bertcram::text
