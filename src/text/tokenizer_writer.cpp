#include <algorithm>
#include <nlohmann/json.hpp>

#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "hub_json.h"

namespace bertcram::text {
namespace {

using nlohmann::json;

json literal_json(const WordPieceTokenizer& tokenizer, const LiteralTokens::Token& token) {
  json entry = added_token_json(token.content);
  const std::vector<LiteralTokens::Token>& ordinary = tokenizer.ordinary_literals().tokens();
  entry["special"] = std::ranges::find(ordinary, token.id, &LiteralTokens::Token::id) == ordinary.end();
  return entry;
}

/// Literal tokens by id, as Hugging Face lists them.
json added_tokens(const WordPieceTokenizer& tokenizer) {
  std::vector<LiteralTokens::Token> tokens = tokenizer.literals().tokens();
  std::ranges::sort(tokens, {}, &LiteralTokens::Token::id);
  json list = json::array();
  for (const LiteralTokens::Token& token : tokens) {
    list.push_back(literal_json(tokenizer, token));
    list.back()["id"] = token.id;
  }
  return list;
}

json normalizer_json(const NormalizerOptions& options) {
  return {{"type", "BertNormalizer"},
          {"clean_text", options.clean_text},
          {"handle_chinese_chars", options.handle_chinese_chars},
          {"strip_accents", options.strip_accents},
          {"lowercase", options.lowercase}};
}

json post_processor_json(const WordPieceTokenizer& tokenizer) {
  const SpecialNames& names = tokenizer.special_names();
  return frame_json(names.cls, tokenizer.special().cls, names.sep, tokenizer.special().sep);
}

json model_json(const WordPieceTokenizer& tokenizer) {
  json vocab = json::object();
  for (const std::string& token : tokenizer.vocabulary().tokens()) {
    const auto id = vocab.size();
    vocab[token] = id;
  }
  return {{"type", "WordPiece"},
          {"unk_token", tokenizer.special_names().unk},
          {"continuing_subword_prefix", kContinuationPrefix},
          {"max_input_chars_per_word", tokenizer.max_chars_per_word()},
          {"vocab", std::move(vocab)}};
}

json tokenizer_json(const WordPieceTokenizer& tokenizer) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_tokens(tokenizer)},
          {"normalizer", normalizer_json(tokenizer.normalizer().options())},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor", post_processor_json(tokenizer)},
          {"decoder", {{"type", "WordPiece"}, {"prefix", kContinuationPrefix}, {"cleanup", true}}},
          {"model", model_json(tokenizer)}};
}

json special_tokens_map(const SpecialNames& names) {
  return {{"pad_token", names.pad},
          {"unk_token", names.unk},
          {"cls_token", names.cls},
          {"sep_token", names.sep},
          {"mask_token", names.mask}};
}

json tokenizer_config(const WordPieceTokenizer& tokenizer, const ModelInput& input) {
  const NormalizerOptions& options = tokenizer.normalizer().options();
  json config = special_tokens_map(tokenizer.special_names());
  config["tokenizer_class"] = "BertTokenizer";
  config["do_lower_case"] = options.lowercase;
  config["strip_accents"] = options.strip_accents;
  config["tokenize_chinese_chars"] = options.handle_chinese_chars;
  config["model_max_length"] = input.max_tokens;
  if (!input.has_token_types) {
    config["model_input_names"] = {"input_ids", "attention_mask"};
  }
  config["clean_up_tokenization_spaces"] = true;
  for (const LiteralTokens::Token& token : tokenizer.literals().tokens()) {
    config["added_tokens_decoder"][std::to_string(token.id)] = literal_json(tokenizer, token);
  }
  return config;
}

json manifest(const WordPieceTokenizer& tokenizer) {
  return {{"format", kTokenizerFormat},
          {"version", 1},
          {"type", "wordpiece"},
          {"vocab_size", tokenizer.vocab_size()},
          {"casing", tokenizer.normalizer().options().lowercase ? "uncased" : "cased"},
          {"fingerprint", tokenizer.fingerprint()}};
}

std::string vocab_txt(const Vocabulary& vocabulary) {
  std::string content;
  for (const std::string& token : vocabulary.tokens()) {
    content += token;
    content += '\n';
  }
  return content;
}

}  // namespace

void write_tokenizer_directory(const WordPieceTokenizer& tokenizer, const std::filesystem::path& directory,
                               const ModelInput& input) {
  util::make_writable_directory(directory);
  write_json(directory / "tokenizer.json", tokenizer_json(tokenizer));
  write_json(directory / "tokenizer_config.json", tokenizer_config(tokenizer, input));
  write_json(directory / "special_tokens_map.json", special_tokens_map(tokenizer.special_names()));
  util::write_file_atomically(directory / "vocab.txt", vocab_txt(tokenizer.vocabulary()));
  write_json(directory / kTokenizerManifest, manifest(tokenizer));
}

}  // namespace bertcram::text
