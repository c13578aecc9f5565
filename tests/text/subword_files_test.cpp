#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "bertcram/text/sentencepiece_trainer.h"
#include "bertcram/text/subword_tokenizer.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "spm_test_support.h"
#include "text_test_support.h"

namespace bertcram::text {
namespace {

using nlohmann::json;

bool mentions(const std::string& message, std::string_view part) { return message.find(part) != std::string::npos; }

json unigram_document() {
  const SpmModel model = small_spm();
  return subword_json(model, roles_of(model), "x.model");
}

json bpe_document() {
  SpmModel model = small_spm();
  model.type = SpmModelType::kBpe;
  return subword_json(model, roles_of(model), "x.model");
}

struct Refusal {
  const char* pointer;
  json value;
  const char* named;  ///< what the message has to name
};

void expect_refusals(const json& document, const std::vector<Refusal>& cases) {
  const ScratchDirectory scratch;
  for (const Refusal& refusal : cases) {
    json changed = document;
    changed[json::json_pointer(refusal.pointer)] = refusal.value;
    util::write_file_atomically(scratch / "tokenizer.json", changed.dump());
    const auto message = message_of<DataError>([&] { load_tokenizer(scratch / "tokenizer.json", std::nullopt); });
    EXPECT_TRUE(mentions(message, "tokenizer.json")) << refusal.pointer << ": " << message;
    EXPECT_TRUE(mentions(message, refusal.named)) << refusal.pointer << " " << refusal.value << ": " << message;
  }
}

TEST(SubwordFiles, NormalisersAndPreTokenisersThatAreNotBuiltInAreRefusedByName) {
  std::vector<Refusal> cases;
  for (const char* type : {"NFD", "NFKC", "NFKD", "Nmt", "StripAccents", "BertNormalizer", "ByteLevel"}) {
    cases.push_back({"/normalizer", {{"type", type}}, type});
    cases.push_back({"/normalizer/normalizers/0", {{"type", type}}, type});
  }
  for (const char* type :
       {"BertPreTokenizer", "Whitespace", "Digits", "Punctuation", "Split", "CharDelimiterSplit", "UnicodeScripts"}) {
    cases.push_back({"/pre_tokenizer", {{"type", type}}, type});
    cases.push_back({"/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {{{"type", type}}}}}, type});
  }
  const json byte_level = {{"type", "ByteLevel"}};
  for (const json& other : {json{{"type", "Metaspace"}}, json{{"type", "WhitespaceSplit"}}, byte_level}) {
    for (const json& pair : {json{other, byte_level}, json{byte_level, other}}) {
      cases.push_back({"/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", pair}}, "ByteLevel"});
    }
  }
  cases.push_back({"/pre_tokenizer", {{"type", "ByteLevel"}, {"use_regex", false}}, "use_regex"});
  const json regex = {{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}};
  cases.push_back({"/normalizer", regex, "\\s+"});
  cases.push_back({"/normalizer", regex, "' {2,}', '\\A +' and '▁+\\z'"});
  cases.push_back({"/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "*"}}, "precompiled_charsmap"});
  cases.push_back({"/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA"}}, "character map"});
  cases.push_back({"/pre_tokenizer/replacement", "_", "replacement"});
  cases.push_back({"/pre_tokenizer/prepend_scheme", "last", "prepend_scheme"});
  cases.push_back({"/pre_tokenizer", {{"type", "Metaspace"}, {"add_prefix_space", false}}, "add_prefix_space"});
  cases.push_back(
      {"/pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers", {{{"type", "WhitespaceSplit"}}, {{"type", "Metaspace"}, {"prepend_scheme", "first"}}}}},
       "first"});
  cases.push_back({"/normalizer", {{"type", "Prepend"}, {"prepend", ""}}, "prepend"});
  expect_refusals(unigram_document(), cases);
  expect_refusals(bpe_document(), cases);
}

TEST(SubwordFiles, FirstWordsBehindNormalisersThatRemoveTextAreRefused) {
  json document = bpe_document();
  document["pre_tokenizer"] = {{"type", "Metaspace"}, {"prepend_scheme", "first"}};
  document["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_NO_THROW(read_subword_json(document, "x", {}));
  expect_refusals(document,
                  {{"/normalizer", {{"type", "Strip"}}, "first"},
                   {"/normalizer", {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", ""}}, "first"}});
}

TEST(SubwordFiles, PostProcessorsWhoseIdsAreNotThoseOfTheirTokensAreRefused) {
  json document = bpe_document();
  const auto names = document["model"]["vocab"].get<std::map<std::string, int32_t>>();
  const auto id_of = [&](const std::string& name) { return names.at(name); };
  document["post_processor"] = {{"type", "RobertaProcessing"}, {"cls", {"a", id_of("a")}}, {"sep", {"b", id_of("b")}}};
  EXPECT_NO_THROW(read_subword_json(document, "x", {}));
  expect_refusals(document, {{"/post_processor/cls/1", id_of("b"), "post_processor"},
                             {"/post_processor/sep/1", "x", "post_processor"}});
}

TEST(SubwordFiles, AddedTokensThatOccurTwiceAreRefused) {
  json document = unigram_document();
  document["added_tokens"].push_back(document["added_tokens"][0]);
  const auto message = message_of<DataError>([&] { read_subword_json(document, "x", {}); });
  EXPECT_TRUE(mentions(message, "listed twice"));
}

TEST(SubwordFiles, DeeplyNestedFilesAreRefused) {
  const ScratchDirectory scratch;
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  util::write_file_atomically(scratch / "tokenizer.json", "{\"model\": {}, \"x\": " + deep + "}");
  const auto message = message_of<DataError>([&] { load_tokenizer(scratch / "tokenizer.json", std::nullopt); });
  EXPECT_TRUE(mentions(message, "100001 deep"));
  util::write_file_atomically(scratch / "vocab.txt", "[PAD]\n" + std::string(200'000, 'a') + "\n");
  const auto too_long = message_of<DataError>([&] { load_tokenizer(scratch / "vocab.txt", std::nullopt); });
  EXPECT_TRUE(mentions(too_long, "200000 bytes"));
}

TEST(SubwordFiles, ModelsThatWouldGiveOtherIdsAreRefusedByName) {
  expect_refusals(unigram_document(), {{"/model/type", "WordLevel", "WordLevel"},
                                       {"/model/type", nullptr, "type"},
                                       {"/model/unk_id", nullptr, "unk_id"},
                                       {"/model/unk_id", 99, "unk_id"},
                                       {"/model/vocab", json::object(), "vocab"},
                                       {"/model/vocab/7", {"a"}, "vocab"},
                                       {"/model/vocab/7/0", "ab", "occurs twice"},
                                       {"/model/vocab/7/1", "x", "vocab"},
                                       {"/model/byte_fallback", true, "byte_fallback"},
                                       {"/added_tokens/0/single_word", true, "single_word"},
                                       {"/added_tokens/0/id", 3, "added_tokens[0]"},
                                       {"/added_tokens/0/content", "<new>", "<new>"}});
  expect_refusals(bpe_document(), {{"/model/dropout", 0.1, "dropout"},
                                   {"/model/continuing_subword_prefix", "##", "continuing_subword_prefix"},
                                   {"/model/end_of_word_suffix", "</w>", "end_of_word_suffix"},
                                   {"/model/unk_token", "<no>", "unk_token"},
                                   {"/model/byte_fallback", true, "byte_fallback"},
                                   {"/model/merges", nullptr, "merges"},
                                   {"/model/merges/0", "a b c", "merges"},
                                   {"/model/merges/0", {"a", "zz"}, "zz"},
                                   {"/model/merges/0", {"b", "b"}, "bb"},
                                   {"/model/vocab/a", 99, "vocab"}});
}

TEST(SubwordFiles, MergesMayBeTextsOrPairs) {
  json document = bpe_document();
  const auto ids = [&] { return ids_of(SubwordTokenizer(read_subword_json(document, "x", {}), "x"), "ab ba"); };
  const auto expected = ids();
  for (json& merge : document["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  EXPECT_EQ(ids(), expected);
  EXPECT_EQ(expected, (std::vector<int32_t>{9, 5, 7, 6}));
}

TEST(SubwordFiles, SavedTokenizersLoadWithTheSameIdsAndFingerprint) {
  for (const json& document : {unigram_document(), bpe_document()}) {
    const ScratchDirectory scratch;
    std::filesystem::create_directory(scratch / "hf");
    util::write_file_atomically(scratch / "hf/tokenizer.json", document.dump());
    const auto original = load_tokenizer(scratch / "hf", std::nullopt);
    original->save(scratch / "tok", {.max_tokens = 77});
    EXPECT_TRUE(has_tokenizer_files(scratch / "tok"));
    const auto loaded = load_tokenizer(scratch / "tok", std::nullopt);
    EXPECT_EQ(loaded->fingerprint(), original->fingerprint());
    EXPECT_EQ(ids_of(*loaded, "ab [MASK] xa"), ids_of(*original, "ab [MASK] xa"));
    EXPECT_EQ(json::parse(util::read_file(scratch / "tok/tokenizer_config.json"))["model_max_length"], 77);
    std::filesystem::remove(scratch / "tok/tokenizer.json");
    EXPECT_FALSE(has_tokenizer_files(scratch / "tok"));
  }
}

TEST(SubwordFiles, TrainedTokenizersKeepTheirModelFile) {
  const auto original = make_subword_tokenizer(spm_bytes(small_spm()), "x.model");
  const ScratchDirectory scratch;
  original->save(scratch / "one");
  load_tokenizer(scratch / "one", std::nullopt)->save(scratch / "two");
  EXPECT_EQ(util::read_file(scratch / "two/spm.model"), spm_bytes(small_spm()));
  util::write_file_atomically(scratch / "two/spm.model", "other");
  EXPECT_TRUE(mentions(message_of<DataError>([&] { load_tokenizer(scratch / "two", std::nullopt); }), "spm.model"));
  std::filesystem::remove(scratch / "one/spm.model");
  EXPECT_FALSE(has_tokenizer_files(scratch / "one"));
}

TEST(SubwordFiles, TheFingerprintFollowsWhatChangesIds) {
  const auto fingerprint = [](const json& document) {
    return SubwordTokenizer(read_subword_json(document, "x", {}), "x").fingerprint();
  };
  const std::string before = fingerprint(unigram_document());
  json changed = unigram_document();
  changed["model"]["vocab"][6][1] = -3.25;
  EXPECT_NE(fingerprint(changed), before);
  changed = unigram_document();
  changed["normalizer"] = nullptr;
  EXPECT_NE(fingerprint(changed), before);
  changed = unigram_document();
  changed["decoder"] = nullptr;
  changed["truncation"] = {{"max_length", 3}};
  EXPECT_EQ(fingerprint(changed), before);
}

TEST(SubwordFiles, RolesComeFromTheFilesBesideItOrFromUsualNames) {
  const ScratchDirectory scratch;
  json document = unigram_document();
  document["post_processor"] = nullptr;
  document["model"]["vocab"][0][0] = document["added_tokens"][0]["content"] = "<padding>";
  document["model"]["vocab"][2][0] = document["added_tokens"][2]["content"] = "<s>";
  util::write_file_atomically(scratch / "tokenizer.json", document.dump());
  const auto bare = load_tokenizer(scratch.path(), std::nullopt);
  EXPECT_EQ(bare->roles().cls, 2);
  EXPECT_EQ(bare->roles().pad, std::nullopt);
  EXPECT_TRUE(mentions(message_of<DataError>([&] { bare->special(); }), "[PAD]"));
  util::write_file_atomically(scratch / "tokenizer_config.json", R"({"pad_token": {"content": "<padding>"}})");
  EXPECT_EQ(load_tokenizer(scratch.path(), std::nullopt)->special().pad, 0);
  util::write_file_atomically(scratch / "tokenizer_config.json", R"({"pad_token": "<nowhere>"})");
  EXPECT_TRUE(mentions(message_of<DataError>([&] { load_tokenizer(scratch.path(), std::nullopt); }), "<nowhere>"));
}

TEST(SubwordFiles, APostProcessorOfAnotherShapeLeavesNoClsAndSep) {
  json document = unigram_document();
  document["post_processor"]["single"].erase(0);
  const SubwordTokenizer tokenizer(read_subword_json(document, "x.json", {}), "x.json");
  EXPECT_EQ(tokenizer.roles().cls, std::nullopt);
  const auto message = message_of<DataError>([&] { tokenizer.special(); });
  EXPECT_TRUE(mentions(message, "post_processor") && mentions(message, "[CLS]")) << message;
}

TEST(SubwordFiles, ATruncatedTokenizerJsonIsRefusedAtEveryLength) {
  const ScratchDirectory scratch;
  for (const std::string& whole : {unigram_document().dump(), bpe_document().dump()}) {
    for (size_t size = 0; size < whole.size(); size += 53) {
      util::write_file_atomically(scratch / "tokenizer.json", whole.substr(0, size));
      EXPECT_THROW(load_tokenizer(scratch / "tokenizer.json", std::nullopt), DataError) << size;
    }
  }
}

TEST(SubwordFiles, TheJsonOfAModelSaysWhatTheModelSays) {
  SpmModel model = small_spm();
  model.remove_extra_whitespaces = false;
  model.add_dummy_prefix = false;
  const auto keeps = make_subword_tokenizer(spm_bytes(model), "x");
  EXPECT_EQ(ids_of(*keeps, " a  ab"), (std::vector<int32_t>{5, 6, 5, 9}));
  EXPECT_EQ(ids_of(*keeps, "ab"), (std::vector<int32_t>{8}));
  model.pieces.push_back({"a▁b", -1, SpmPieceType::kNormal});
  EXPECT_EQ(ids_of(*make_subword_tokenizer(spm_bytes(model), "x"), "a b"), (std::vector<int32_t>{12}))
      << "a piece over two words";
}

}  // namespace
}  // namespace bertcram::text
