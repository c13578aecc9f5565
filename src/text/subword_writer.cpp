// SentencePiece model → tokenizer.json, and the directories of unigram and BPE tokenizers.

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base64.h"
#include "bertcram/text/special_roles.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"
#include "hub_json.h"
#include "hub_normalizer.h"

namespace bertcram::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json replace_json(const char* kind, std::string_view pattern, std::string_view content) {
  return {{"type", "Replace"}, {"pattern", {{kind, pattern}}}, {"content", content}};
}

/// SentencePiece's normaliser step by step; "▁" is put before the text here, as Metaspace leaves one out where the text
/// begins with "▁" already.
json normalizer_json(const SpmModel& model) {
  json steps = json::array();
  if (!model.charsmap.empty()) {
    steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(model.charsmap)}});
  }
  if (model.remove_extra_whitespaces) {
    steps.push_back(replace_json("Regex", "\\A +", ""));
    steps.push_back(replace_json("Regex", " {2,}", " "));
  }
  steps.push_back(replace_json("String", " ", kMetaspace));
  if (model.remove_extra_whitespaces) {
    steps.push_back(replace_json("Regex", cat(kMetaspace, "+\\z"), ""));
  }
  if (model.add_dummy_prefix) {
    steps.push_back({{"type", "Prepend"}, {"prepend", kMetaspace}});
  }
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

/// Whether words can be encoded one by one: no piece reaches over a "▁", and every word has at least that one.
bool words_are_apart(const SpmModel& model) {
  bool has_metaspace = false;
  for (const SpmPiece& piece : model.pieces) {
    has_metaspace = has_metaspace || piece.text == kMetaspace;
    if (piece.type == SpmPieceType::kNormal && piece.text.find(kMetaspace, 1) != std::string::npos) {
      return false;
    }
  }
  return has_metaspace;
}

json decoder_json(const SpmModel& model) {
  if (!model.byte_fallback) {
    return {{"type", "Metaspace"}, {"replacement", kMetaspace}, {"prepend_scheme", "always"}, {"split", true}};
  }
  return {{"type", "Sequence"},
          {"decoders",
           {replace_json("String", kMetaspace, " "),
            {{"type", "ByteFallback"}},
            {{"type", "Fuse"}},
            {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}};
}

json unigram_json(const SpmModel& model) {
  json vocab = json::array();
  for (const SpmPiece& piece : model.pieces) {
    vocab.push_back({piece.text, static_cast<double>(piece.score)});
  }
  return {{"type", "Unigram"},
          {"unk_id", model.unk_id},
          {"vocab", std::move(vocab)},
          {"byte_fallback", model.byte_fallback}};
}

/// SentencePiece joins any two neighbours whose text together is a piece, the best score first: every way to cut a piece
/// in two is a merge of its rank.
json merges_json(const SpmModel& model) {
  std::unordered_map<std::string_view, float> scores;
  for (const SpmPiece& piece : model.pieces) {
    if (piece.type == SpmPieceType::kNormal) {
      scores.emplace(piece.text, piece.score);
    }
  }
  std::vector<std::tuple<float, std::string_view, size_t>> cuts;  // minus the score, piece, bytes before the cut
  for (const auto& [text, score] : scores) {
    for (size_t at = 1; at < text.size(); ++at) {
      if (scores.contains(text.substr(0, at)) && scores.contains(text.substr(at))) {
        cuts.emplace_back(-score, text, at);
      }
    }
  }
  std::ranges::sort(cuts);
  json merges = json::array();
  for (const auto& [score, text, at] : cuts) {
    merges.push_back({text.substr(0, at), text.substr(at)});
  }
  return merges;
}

json bpe_json(const SpmModel& model) {
  json vocab = json::object();
  for (const SpmPiece& piece : model.pieces) {
    const auto id = vocab.size();
    vocab[piece.text] = id;
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", model.pieces[static_cast<size_t>(model.unk_id)].text},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", true},
          {"byte_fallback", model.byte_fallback},
          {"ignore_merges", false},
          {"vocab", std::move(vocab)},
          {"merges", merges_json(model)}};
}

json added_tokens_json(const SpmModel& model) {
  json list = json::array();
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SpmPiece& piece = model.pieces[id];
    if (piece.type == SpmPieceType::kControl || piece.type == SpmPieceType::kUnknown) {
      list.push_back(added_token_json(piece.text));
      list.back()["id"] = id;
    }
  }
  return list;
}

json names_json(const Tokenizer& tokenizer) {
  json names = json::object();
  const SpecialRoles roles = tokenizer.roles();
  for (const RoleNames& role : kRoleNames) {
    if (const auto id = roles.*role.id) {
      names[cat(role.role, "_token")] = tokenizer.token(*id);
    }
  }
  return names;
}

/// What a directory of either kind holds.
struct DirectoryContent {
  json tokenizer;
  const std::string& spm_model;
  const char* type;
};

void write_directory(const Tokenizer& tokenizer, const DirectoryContent& content, const fs::path& directory,
                     const ModelInput& input) {
  util::make_writable_directory(directory);
  const json names = names_json(tokenizer);
  json config = names;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["model_max_length"] = input.max_tokens;
  if (!input.has_token_types) {
    config["model_input_names"] = {"input_ids", "attention_mask"};
  }
  config["clean_up_tokenization_spaces"] = false;
  json manifest = {{"format", kTokenizerFormat},
                   {"version", 1},
                   {"type", content.type},
                   {"vocab_size", tokenizer.vocab_size()},
                   {"fingerprint", tokenizer.fingerprint()}};
  write_json(directory / "tokenizer.json", content.tokenizer, -1);
  write_json(directory / "tokenizer_config.json", config);
  write_json(directory / "special_tokens_map.json", names);
  if (!content.spm_model.empty()) {
    util::write_file_atomically(directory / kSpmFile, content.spm_model);
    manifest["spm_model_xxh3_128"] = util::hash128(content.spm_model).hex();
  }
  write_json(directory / kTokenizerManifest, manifest);
}

}  // namespace

std::optional<std::string> unsayable_in_json(const SpmModel& model) {
  if (model.type != SpmModelType::kUnigram && model.type != SpmModelType::kBpe) {
    return "it is a SentencePiece model of type word or char";
  }
  if (model.whitespace_suffix) {
    return "treat_whitespace_as_suffix is on";
  }
  if (!model.escape_whitespaces) {
    return "escape_whitespaces is off";
  }
  for (const SpmPiece& piece : model.pieces) {
    if (piece.type == SpmPieceType::kUserDefined) {
      return cat("'", util::excerpt(piece.text), "' is a user-defined symbol");
    }
    if (piece.type == SpmPieceType::kUnused) {
      return cat("'", util::excerpt(piece.text), "' is an unused piece");
    }
  }
  return std::nullopt;
}

SpecialRoles roles_of(const SpmModel& model) {
  SpecialRoles roles;
  roles.unk = model.unk_id;
  fill_usual_roles(roles, [&](std::string_view name) -> std::optional<int32_t> {
    const auto piece = std::ranges::find(model.pieces, name, &SpmPiece::text);
    return piece == model.pieces.end() || piece->type != SpmPieceType::kControl
               ? std::nullopt
               : std::optional(static_cast<int32_t>(piece - model.pieces.begin()));
  });
  return roles;
}

json subword_json(const SpmModel& model, const SpecialRoles& roles, const std::string& origin) {
  if (const auto reason = unsayable_in_json(model)) {
    throw DataError(cat(origin, ": ", *reason,
                        ", which a Hugging Face tokenizer.json cannot say without giving other ids; such a model can "
                        "only be used with 'bertcram encode'"));
  }
  const auto text = [&](int32_t id) { return model.pieces[static_cast<size_t>(id)].text; };
  return {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added_tokens_json(model)},
      {"normalizer", normalizer_json(model)},
      {"pre_tokenizer",
       {{"type", "Metaspace"},
        {"replacement", kMetaspace},
        {"prepend_scheme", "never"},
        {"split", words_are_apart(model)}}},
      {"post_processor",
       roles.cls && roles.sep ? frame_json(text(*roles.cls), *roles.cls, text(*roles.sep), *roles.sep) : json(nullptr)},
      {"decoder", decoder_json(model)},
      {"model", model.type == SpmModelType::kUnigram ? unigram_json(model) : bpe_json(model)}};
}

void write_subword_directory(const Tokenizer& tokenizer, const SubwordDefinition& definition, const fs::path& directory,
                             const ModelInput& input) {
  json document = util::parse_json(definition.json);
  if (const SpecialRoles roles = tokenizer.roles(); roles.cls && roles.sep) {
    // Pairs as bertcram makes them, whatever the tokenizer did before.
    document["post_processor"] = frame_json(std::string(tokenizer.token(*roles.cls)), *roles.cls,
                                            std::string(tokenizer.token(*roles.sep)), *roles.sep);
  }
  write_directory(tokenizer,
                  {.tokenizer = std::move(document),
                   .spm_model = definition.spm_model,
                   .type = definition.model == SubwordModel::kUnigram ? "unigram" : "bpe"},
                  directory, input);
}

void write_sentencepiece_directory(const Tokenizer& tokenizer, const std::string& spm_model, const std::string& origin,
                                   const fs::path& directory, const ModelInput& input) {
  write_directory(tokenizer,
                  {.tokenizer = subword_json(parse_spm_model(spm_model, origin), tokenizer.roles(), origin),
                   .spm_model = spm_model,
                   .type = kSentencePieceType},
                  directory, input);
}

}  // namespace bertcram::text
