#include <algorithm>
#include <array>
#include <utility>

#include "added_tokens_reader.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/json_fields.h"
#include "frame_reader.h"
#include "vocab_map.h"

namespace bertcram::text {
namespace {

using nlohmann::json;

NormalizerOptions read_normalizer(const util::JsonFields& fields) {
  fields.require<std::string>("type", "BertNormalizer", "");
  NormalizerOptions options;
  options.clean_text = fields.get("clean_text", true);
  options.handle_chinese_chars = fields.get("handle_chinese_chars", true);
  options.lowercase = fields.get("lowercase", true);
  options.strip_accents = fields.get("strip_accents", options.lowercase);
  return options;
}

void read_model(const util::JsonFields& model, WordPieceDefinition& definition) {
  model.require<std::string>("type", "WordPiece", "");
  model.require<std::string>("continuing_subword_prefix", std::string(kContinuationPrefix),
                             std::string(kContinuationPrefix));
  definition.special.unk = model.get("unk_token", definition.special.unk);
  definition.max_chars_per_word = model.get("max_input_chars_per_word", kMaxCharsPerWord);
  definition.vocab = read_vocab_map(model);
}

void read_added_tokens(const util::JsonFields& root, WordPieceDefinition& definition) {
  const json* list = root.find("added_tokens");
  if (list == nullptr) {
    return;
  }
  if (!list->is_array()) {
    root.fail("added_tokens", "is not a list");
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const util::JsonFields token((*list)[i], cat(root.where(), ": added_tokens[", i, "]"));
    const auto content = token.get<std::string>("content", "");
    const auto id = token.get<int64_t>("id", -1);
    token.require("single_word", false, false);
    token.require("normalized", false, true);
    if (id < 0 || id >= static_cast<int64_t>(definition.vocab.size()) ||
        definition.vocab[static_cast<size_t>(id)] != content || content.empty()) {
      throw DataError(cat(token.where(), ": the added token '", util::excerpt(content), "' with id ", id,
                          " is not in the WordPiece vocabulary; such additions are not supported"));
    }
    definition.literals.push_back({.content = content, .special = token.get("special", false)});
  }
}

/// Encoding adds [CLS] and [SEP] in one way only; another template would silently be ignored.
void check_post_processor(const util::JsonFields& root, WordPieceDefinition& definition) {
  if (root.find("post_processor") == nullptr) {
    return;
  }
  const util::JsonFields processor = root.object("post_processor");
  const auto type = processor.get<std::string>("type", "");
  if (type != "BertProcessing" && type != "TemplateProcessing") {
    processor.fail("type", cat("is '", util::excerpt(type), "'; supported are BertProcessing and TemplateProcessing"));
  }
  const auto frame = read_frame(*root.find("post_processor"));
  if (!frame) {
    processor.fail("single", "is not the template '[CLS] $A [SEP]', the only one that is supported");
  }
  if (!agrees_with(*frame, definition.vocab)) {
    root.fail("post_processor", cat("puts other ids around a text than those of '", util::excerpt(frame->cls),
                                    "' and '", util::excerpt(frame->sep), "', which is not supported"));
  }
  definition.special.cls = frame->cls;
  definition.special.sep = frame->sep;
}

/// The names beside tokenizer.json must be those that its post-processor puts around a text.
void check_frame_names(const WordPieceDefinition& definition, const SpecialNames& framed,
                       const std::filesystem::path& directory) {
  if (definition.special.cls != framed.cls || definition.special.sep != framed.sep) {
    throw DataError(cat(directory.string(), ": cls_token and sep_token are '", util::excerpt(definition.special.cls),
                        "' and '", util::excerpt(definition.special.sep), "', but tokenizer.json puts '",
                        util::excerpt(framed.cls), "' and '", util::excerpt(framed.sep), "' around a text"));
  }
}

NormalizerOptions read_config_options(const util::JsonFields& config, const NormalizerOptions& defaults) {
  NormalizerOptions options = defaults;
  options.lowercase = config.get("do_lower_case", defaults.lowercase);
  options.strip_accents =
      config.get("strip_accents", config.find("do_lower_case") == nullptr ? defaults.strip_accents : options.lowercase);
  options.handle_chinese_chars = config.get("tokenize_chinese_chars", defaults.handle_chinese_chars);
  return options;
}

/// transformers lets tokenizer_config.json override tokenizer.json in some versions and ignores it in others.
void check_agreement(const util::JsonFields& config, const NormalizerOptions& of_json) {
  NormalizerOptions of_config = read_config_options(config, of_json);
  if (config.find("strip_accents") == nullptr) {
    of_config.strip_accents = of_json.strip_accents;
  }
  if (!(of_config == of_json)) {
    throw DataError(cat(config.where(),
                        ": do_lower_case, strip_accents or tokenize_chinese_chars contradicts the "
                        "normalizer in tokenizer.json; make the two files agree"));
  }
}

void check_vocab_txt_config(const util::JsonFields& config) {
  static constexpr std::array<std::string_view, 4> kBertLike = {"Bert", "DistilBert", "Electra", "MobileBert"};
  auto name = config.get<std::string>("tokenizer_class", "BertTokenizer");
  const std::string given = name;
  for (const std::string_view suffix : {std::string_view("Fast"), std::string_view("Tokenizer")}) {
    name.resize(name.ends_with(suffix) ? name.size() - suffix.size() : name.size());
  }
  if (std::ranges::find(kBertLike, name) == kBertLike.end()) {
    config.fail("tokenizer_class", cat("is '", util::excerpt(given), "'; with a vocab.txt only BERT's is supported"));
  }
  config.require("do_basic_tokenize", true, true);
  config.require("split_special_tokens", false, false);
  if (const json* never = config.find("never_split"); never != nullptr && !never->empty()) {
    config.fail("never_split", "is not supported, as it would give other ids");
  }
}

WordPieceDefinition read_json_directory(const std::filesystem::path& directory) {
  WordPieceDefinition definition = read_tokenizer_json(directory / "tokenizer.json");
  const SpecialNames framed = definition.special;
  const auto map_path = directory / "special_tokens_map.json";
  const json map = parse_if_there(map_path);
  read_special_names({map, map_path.string()}, definition.special);
  const auto config_path = directory / "tokenizer_config.json";
  const json document = parse_if_there(config_path);
  const util::JsonFields config(document, config_path.string());
  read_special_names(config, definition.special);
  check_agreement(config, definition.normalizer);
  check_frame_names(definition, framed, directory);
  return definition;
}

WordPieceDefinition read_vocab_directory(const std::filesystem::path& directory) {
  const auto config_path = directory / "tokenizer_config.json";
  const json document = parse_if_there(config_path);
  const util::JsonFields config(document, config_path.string());
  check_vocab_txt_config(config);
  WordPieceDefinition definition;
  definition.vocab = read_vocab_txt(directory / kVocabFile);
  definition.normalizer = read_config_options(config, NormalizerOptions{});
  definition.literals = read_tokens_beside_vocab(directory, config, definition.vocab, definition.special);
  return definition;
}

}  // namespace

WordPieceDefinition read_tokenizer_json(const std::filesystem::path& path) {
  const json document = util::parse_json_file(path);
  const util::JsonFields root(document, path.string());
  WordPieceDefinition definition;
  read_model(root.object("model"), definition);
  definition.normalizer = read_normalizer(root.object("normalizer"));
  root.object("pre_tokenizer").require<std::string>("type", "BertPreTokenizer", "");
  check_post_processor(root, definition);
  read_added_tokens(root, definition);
  return definition;
}

WordPieceDefinition read_tokenizer_directory(const std::filesystem::path& directory) {
  return std::filesystem::exists(directory / "tokenizer.json") ? read_json_directory(directory)
                                                               : read_vocab_directory(directory);
}

}  // namespace bertcram::text
