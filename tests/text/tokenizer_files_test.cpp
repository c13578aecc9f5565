#include "bertcram/text/tokenizer_files.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "text_test_support.h"

namespace bertcram::text {
namespace {

using nlohmann::json;
using Files = std::map<std::string, std::string>;  // content by name

std::unique_ptr<Tokenizer> example(NormalizerOptions options = {}) {
  return make_wordpiece_tokenizer(vocab_with({"a", "##b", "é", "E", "e", "漢", "\u2028"}), options);
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  tokenizer.encode(text, ids);
  return ids;
}

/// A saved tokenizer whose files a test spoils.
class SavedTokenizer {
 public:
  explicit SavedTokenizer(NormalizerOptions options = {}) {
    example(options)->save(scratch.path());
    std::filesystem::remove(scratch / "manifest.json");
  }

  template <class Change>
  void change(std::string_view file, Change apply) {
    json document = json::parse(util::read_file(scratch / file));
    apply(document);
    util::write_file_atomically(scratch / file, document.dump());
  }

  std::string refusal() {
    return message_of<DataError>([&] { load_tokenizer(scratch.path(), std::nullopt); });
  }

  ScratchDirectory scratch;
};

bool mentions(const std::string& message, std::string_view part) { return message.find(part) != std::string::npos; }

TEST(TokenizerFiles, SavedTokenizersLoadWithTheSameIdsAndFingerprint) {
  for (const bool uncased : {true, false}) {
    NormalizerOptions options;
    options.lowercase = options.strip_accents = uncased;
    const auto original = example(options);
    const ScratchDirectory scratch;
    original->save(scratch / "tok");
    const auto loaded = load_tokenizer(scratch / "tok", std::nullopt);
    EXPECT_EQ(loaded->fingerprint(), original->fingerprint());
    EXPECT_EQ(ids_of(*loaded, "É E aB [MASK] 漢"), ids_of(*original, "É E aB [MASK] 漢"));
    const auto manifest = json::parse(util::read_file(scratch / "tok/manifest.json"));
    EXPECT_EQ(manifest["format"], "bertcram-tokenizer");
    EXPECT_EQ(manifest["casing"], uncased ? "uncased" : "cased");
    EXPECT_EQ(manifest["vocab_size"], 12);
  }
}

TEST(TokenizerFiles, EveryFormOfTheSameTokenizerGivesOneFingerprint) {
  const SavedTokenizer saved;
  const std::string expected = example()->fingerprint();
  EXPECT_EQ(load_tokenizer(saved.scratch / "tokenizer.json", std::nullopt)->fingerprint(), expected);
  EXPECT_EQ(load_tokenizer(saved.scratch / "vocab.txt", std::nullopt)->fingerprint(), expected);
  std::filesystem::remove(saved.scratch / "tokenizer.json");
  EXPECT_EQ(load_tokenizer(saved.scratch.path(), std::nullopt)->fingerprint(), expected);
}

TEST(TokenizerFiles, ABareVocabularyTakesItsCasingFromTheArgument) {
  const SavedTokenizer saved;
  const auto cased = load_tokenizer(saved.scratch / "vocab.txt", Casing::kCased);
  EXPECT_EQ(ids_of(*cased, "é E"), (std::vector<int32_t>{7, 8}));
  const auto uncased = load_tokenizer(saved.scratch / "vocab.txt", Casing::kUncased);
  EXPECT_EQ(ids_of(*uncased, "é E"), (std::vector<int32_t>{9, 9}));
  EXPECT_THROW(load_tokenizer(saved.scratch.path(), Casing::kCased), ConfigError);
}

TEST(TokenizerFiles, AVocabularyMayHaveWindowsLineEndsAndNoFinalOne) {
  const ScratchDirectory scratch;
  util::write_file_atomically(scratch / "v.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\na");
  EXPECT_EQ(load_tokenizer(scratch / "v.txt", std::nullopt)->find("a"), 5);
}

TEST(TokenizerFiles, NullStripAccentsFollowsLowerCase) {
  SavedTokenizer saved;
  saved.change("tokenizer.json", [](json& j) { j["normalizer"]["strip_accents"] = nullptr; });
  EXPECT_TRUE(read_tokenizer_json(saved.scratch / "tokenizer.json").normalizer.strip_accents);
  saved.change("tokenizer.json", [](json& j) { j["normalizer"]["lowercase"] = false; });
  EXPECT_FALSE(read_tokenizer_json(saved.scratch / "tokenizer.json").normalizer.strip_accents);
}

TEST(TokenizerFiles, WhatWouldGiveOtherIdsIsRefusedByName) {
  const std::vector<std::pair<std::string, json>> cases = {
      {"/model/type", "BPE"},
      {"/model/continuing_subword_prefix", "@@"},
      {"/normalizer/type", "Sequence"},
      {"/pre_tokenizer/type", "Whitespace"},
      {"/post_processor/type", "RobertaProcessing"},
      {"/post_processor/single", json::array()},
      {"/added_tokens/0/normalized", true},
      {"/added_tokens/0/single_word", true},
      {"/added_tokens/0/content", "<new>"},
      {"/added_tokens/0/id", 12},
      {"/normalizer", nullptr},
      {"/model/vocab/a", 99},
      {"/model/vocab/a", 6},
      {"/model/vocab", json::object()},
      {"/normalizer/lowercase", "yes"},
      {"/model/type", nullptr},
      {"/normalizer/type", nullptr},
      {"/pre_tokenizer/type", nullptr},
      {"/added_tokens/0/normalized", nullptr},
  };
  for (const auto& [pointer, value] : cases) {
    SavedTokenizer saved;
    saved.change("tokenizer.json", [&](json& j) { j[json::json_pointer(pointer)] = value; });
    const std::string message = saved.refusal();
    EXPECT_TRUE(mentions(message, "tokenizer.json")) << pointer << ": " << message;
  }
}

TEST(TokenizerFiles, OrdinaryAddedTokensStayOrdinaryWhenSaved) {
  SavedTokenizer saved;
  saved.change("tokenizer.json", [](json& j) {
    json token = j["added_tokens"][0];
    token["id"] = 9;
    token["content"] = "e";
    token["special"] = false;
    j["added_tokens"].push_back(token);
  });
  const auto original = load_tokenizer(saved.scratch.path(), std::nullopt);
  EXPECT_NE(original->fingerprint(), example()->fingerprint());
  const ScratchDirectory scratch;
  original->save(scratch.path());
  const auto again = load_tokenizer(scratch.path(), std::nullopt);
  EXPECT_EQ(again->fingerprint(), original->fingerprint());
  std::vector<int32_t> ids;
  again->encode("ae[MASK]", ids, {.special_in_text = SpecialInText::kPlainText});
  EXPECT_EQ(ids, (std::vector<int32_t>{5, 9, 1, 1, 1}));
  const auto config = json::parse(util::read_file(scratch / "tokenizer_config.json"));
  EXPECT_EQ(config["added_tokens_decoder"]["9"]["special"], false);
  EXPECT_EQ(config["added_tokens_decoder"]["4"]["special"], true);
}

TEST(TokenizerFiles, TruncationAndPaddingAreIgnored) {
  SavedTokenizer saved;
  saved.change("tokenizer.json", [](json& j) { j["truncation"] = {{"max_length", 3}}; });
  EXPECT_EQ(ids_of(*load_tokenizer(saved.scratch.path(), std::nullopt), "a a a a a").size(), 5u);
}

TEST(TokenizerFiles, ContradictingFilesAreRefused) {
  SavedTokenizer saved;
  saved.change("tokenizer_config.json", [](json& j) { j["do_lower_case"] = false; });
  EXPECT_TRUE(mentions(saved.refusal(), "contradicts"));
}

TEST(TokenizerFiles, ADirectoryWithVocabTxtObeysItsConfiguration) {
  SavedTokenizer saved;
  std::filesystem::remove(saved.scratch / "tokenizer.json");
  saved.change("tokenizer_config.json", [](json& j) { j = {{"do_lower_case", false}}; });
  EXPECT_EQ(ids_of(*load_tokenizer(saved.scratch.path(), std::nullopt), "é E"), (std::vector<int32_t>{7, 8}));
  saved.change("tokenizer_config.json", [](json& j) { j = {{"tokenizer_class", "T5Tokenizer"}}; });
  EXPECT_TRUE(mentions(saved.refusal(), "T5Tokenizer"));
}

/// A folder with vocab.txt and what a test puts beside it, in the place of what was there.
class VocabFolder {
 public:
  std::unique_ptr<Tokenizer> load(const Files& files) {
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}) {
      std::filesystem::remove(scratch_ / name);
    }
    util::write_file_atomically(scratch_ / "vocab.txt",
                                "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n<\nent\n>\n<ent>\n[\ne1\n]\n[E1]\n[mask]\n");
    for (const auto& [name, content] : files) {
      util::write_file_atomically(scratch_ / name, content);
    }
    return load_tokenizer(scratch_.path(), std::nullopt);
  }

  std::string refusal(const Files& files) {
    return message_of<DataError>([&] { load(files); });
  }

 private:
  ScratchDirectory scratch_;
};

TEST(TokenizerFiles, TokensNamedBesideVocabTxtAreLiteralAsInHuggingFace) {
  const std::vector<Files> cases = {
      {{"tokenizer_config.json", R"({"additional_special_tokens": ["[E1]"]})"}},
      {{"tokenizer_config.json", R"({"extra_special_tokens": ["[E1]"], "additional_special_tokens": ["b"]})"}},
      {{"tokenizer_config.json", R"({"extra_special_tokens": {"x_token": "[E1]"}})"}},
      {{"tokenizer_config.json", R"({"bos_token": "[E1]", "eos_token": null})"}},
      {{"tokenizer_config.json", R"({"foo_token": "[E1]"})"}},
      {{"tokenizer_config.json",
        R"({"added_tokens_decoder": {"14": {"content": "[E1]", "special": true}}, "mask_token": "[MASK]"})"}},
      {{"tokenizer_config.json", R"({"extra_special_tokens": ["[E1]"]})"}, {"added_tokens.json", R"({"[E1]": 14})"}},
      {{"tokenizer_config.json", "{}"}, {"special_tokens_map.json", R"({"additional_special_tokens": ["[E1]"]})"}},
      {{"special_tokens_map.json", R"({"additional_special_tokens": ["[E1]"]})"}},
      {{"special_tokens_map.json", R"({"extra_special_tokens": [{"content": "[E1]", "normalized": false}]})"}},
      {{"special_tokens_map.json", R"({"bos_token": {"content": "[E1]", "normalized": false}})"}},
  };
  VocabFolder folder;
  for (const Files& files : cases) {
    const auto tokenizer = folder.load(files);
    EXPECT_EQ(ids_of(*tokenizer, "a[E1]b [e1]"), (std::vector<int32_t>{5, 14, 6, 11, 12, 13})) << files.begin()->second;
    std::vector<int32_t> plain;
    tokenizer->encode("[E1]", plain, {.special_in_text = SpecialInText::kPlainText});
    EXPECT_EQ(plain, (std::vector<int32_t>{11, 12, 13})) << files.begin()->second;
  }
}

TEST(TokenizerFiles, TheFilesBesideVocabTxtCountAsInHuggingFace) {
  VocabFolder folder;
  const std::string list = R"({"additional_special_tokens": ["[E1]"], "mask_token": "[mask]"})";
  const auto by_map =
      folder.load({{"tokenizer_config.json", R"({"mask_token": "[MASK]"})"}, {"special_tokens_map.json", list}});
  EXPECT_EQ(by_map->special().mask, 15);
  EXPECT_EQ(ids_of(*by_map, "[E1]"), (std::vector<int32_t>{14}));
  const auto by_decoder = folder.load({{"tokenizer_config.json", R"({"added_tokens_decoder": {}})"},
                                       {"special_tokens_map.json", list},
                                       {"added_tokens.json", R"({"[E1]": 14})"}});
  EXPECT_EQ(by_decoder->special().mask, 4) << "added_tokens_decoder, though empty, replaces the other files";
  EXPECT_EQ(ids_of(*by_decoder, "[E1]"), (std::vector<int32_t>{11, 12, 13}));
  const auto ordinary = folder.load(
      {{"tokenizer_config.json",
        R"({"added_tokens_decoder": {"10": {"content": "<ent>", "normalized": false, "special": false}}})"}});
  std::vector<int32_t> plain;
  ordinary->encode("a<ent>b<ENT>", plain, {.special_in_text = SpecialInText::kPlainText});
  EXPECT_EQ(plain, (std::vector<int32_t>{5, 10, 6, 7, 8, 9}));
}

TEST(TokenizerFiles, TokensBesideVocabTxtThatWouldGiveOtherIdsAreRefusedByName) {
  struct Refusal {
    Files files;
    const char* named;
  };
  const auto config = [](const char* content) { return Files{{"tokenizer_config.json", content}}; };
  const std::vector<Refusal> cases = {
      {{{"added_tokens.json", R"({"[E2]": 16})"}}, "added_tokens.json: the token '[E2]' is not among the 16"},
      {{{"added_tokens.json", R"({"<ent>": 10})"}}, "'<ent>' is looked for after normalisation"},
      {{{"added_tokens.json", R"({"[E1]": 12})"}}, "the id 12, but vocab.txt gives it 14"},
      {{{"added_tokens.json", R"({"[E1]": "14"})"}}, "[E1]"},
      {{{"added_tokens.json", "[]"}}, "added_tokens.json"},
      {{{"special_tokens_map.json", R"({"additional_special_tokens": ["[E2]"]})"}}, "'[E2]' is not among"},
      {config(R"({"additional_special_tokens": ["[E2]"]})"), "'[E2]' is not among"},
      {config(R"({"additional_special_tokens": "[E1]"})"), "is not a list"},
      {config(R"({"bos_token": "<s>"})"), "bos_token: the token '<s>' is not among"},
      {config(R"({"mask_token": {"content": "[MASK]", "normalized": true}})"), "mask_token: 'normalized' is true"},
      {config(R"({"mask_token": 7})"), "tokenizer_config.json: 'mask_token' has the wrong type"},
      {config(R"({"added_tokens_decoder": []})"), "added_tokens_decoder"},
      {config(R"({"added_tokens_decoder": {"x": {"content": "[E1]"}}})"), "'x' is not an id"},
      {config(R"({"added_tokens_decoder": {"14": "[E1]"}})"), "added_tokens_decoder: 14"},
      {config(R"({"added_tokens_decoder": {"16": {"content": "[E2]", "special": true}}})"), "'[E2]' is not among"},
      {config(R"({"added_tokens_decoder": {"14": {"content": "[E1]"}}})"), "'normalized' is missing"},
      {config(R"({"added_tokens_decoder": {"14": {"content": "[E1]", "special": true, "normalized": true}}})"),
       "'normalized' is true"},
      {config(R"({"added_tokens_decoder": {"14": {"content": "[E1]", "special": true, "single_word": true}}})"),
       "single_word"},
      {config(R"({"split_special_tokens": true})"), "split_special_tokens"},
  };
  VocabFolder folder;
  for (const auto& [files, named] : cases) {
    const std::string message = folder.refusal(files);
    EXPECT_TRUE(mentions(message, named)) << message;
  }
}

TEST(TokenizerFiles, ASpecialTokenIsNamedByAStringOrAnObject) {
  SavedTokenizer saved;
  for (const json& named : {json("a"), json{{"content", "a"}, {"lstrip", false}}}) {
    saved.change("tokenizer_config.json", [&](json& j) { j["mask_token"] = named; });
    EXPECT_EQ(load_tokenizer(saved.scratch.path(), std::nullopt)->special().mask, 5) << named;
  }
  saved.change("tokenizer_config.json", [](json& j) { j["mask_token"] = {{"content", 7}}; });
  EXPECT_TRUE(mentions(saved.refusal(), "mask_token: 'content' has the wrong type: 7"));
}

TEST(TokenizerFiles, MissingEmptyAndDamagedFilesAreNamed) {
  const ScratchDirectory scratch;
  const auto refusal = [&](std::string_view name) {
    return message_of<DataError>([&] { load_tokenizer(scratch / name, std::nullopt); });
  };
  EXPECT_TRUE(mentions(refusal("nowhere"), "no such file"));
  std::filesystem::create_directory(scratch / "empty");
  EXPECT_TRUE(mentions(refusal("empty"), "no tokenizer here; expected tokenizer.json"));
  std::filesystem::create_directories(scratch / "packed/tokenizer");
  util::write_file_atomically(scratch / "packed/tokenizer/tokenizer_config.json", "{}");
  EXPECT_TRUE(mentions(refusal("packed"), "did you mean " + (scratch / "packed/tokenizer").string()));
  util::write_file_atomically(scratch / "vocab.txt", "");
  EXPECT_TRUE(mentions(refusal("vocab.txt"), "empty"));
  util::write_file_atomically(scratch / "binary.txt", std::string_view("\x00\xFF\x01", 3));
  EXPECT_TRUE(mentions(refusal("binary.txt"), "not valid UTF-8"));
  util::write_file_atomically(scratch / "tokenizer.json", "[]");
  EXPECT_TRUE(mentions(refusal("tokenizer.json"), "expected a JSON object"));
}

TEST(TokenizerFiles, ATruncatedTokenizerJsonIsRefusedAtEveryLength) {
  const SavedTokenizer saved;
  const std::string whole = util::read_file(saved.scratch / "tokenizer.json");
  for (size_t size = 0; size + 2 < whole.size(); size += 97) {
    util::write_file_atomically(saved.scratch / "tokenizer.json", whole.substr(0, size));
    EXPECT_THROW(load_tokenizer(saved.scratch / "tokenizer.json", std::nullopt), DataError) << size;
  }
}

TEST(TokenizerFiles, TheManifestGuardsTheFilesBesideIt) {
  const ScratchDirectory scratch;
  example()->save(scratch.path());
  std::string json_text = util::read_file(scratch / "tokenizer.json");
  json_text.replace(json_text.find("\"##b\""), 5, "\"##c\"");
  util::write_file_atomically(scratch / "tokenizer.json", json_text);
  const auto refusal = [&] { return message_of<DataError>([&] { load_tokenizer(scratch.path(), std::nullopt); }); };
  EXPECT_TRUE(mentions(refusal(), "fingerprint"));
  util::write_file_atomically(scratch / "manifest.json", R"({"format": "bertcram-tokenizer", "version": 2})");
  EXPECT_TRUE(mentions(refusal(), "version 2"));
  util::write_file_atomically(scratch / "manifest.json", R"({"format": "bertcram-packed"})");
  EXPECT_NO_THROW(load_tokenizer(scratch.path(), std::nullopt)) << "a manifest of something else says nothing";
}

}  // namespace
}  // namespace bertcram::text
