// Byte-level words and spelling; ids against Hugging Face: check_subwords_against_hf.py.

#include "text/byte_level.h"

#include <gtest/gtest.h>

#include <vector>

#include "bertcram/text/tokenizer_files.h"
#include "bertcram/text/unicode.h"
#include "text_test_support.h"
#include "util/test_support.h"

namespace bertcram::text {
namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (size_t from = 0; from < text.size();) {
    words.push_back(text.substr(from, byte_level_word_bytes(text, from)));
    from += words.back().size();
  }
  return words;
}

using Words = std::vector<std::string>;

TEST(ByteLevel, WordsAreThoseOfTheRegularExpression) {
  EXPECT_EQ(words_of("Hello world"), (Words{"Hello", " world"}));
  EXPECT_EQ(words_of("a  b"), (Words{"a", " ", " b"})) << "the last space goes with the word";
  EXPECT_EQ(words_of("a   "), (Words{"a", "   "}));
  EXPECT_EQ(words_of("a\n\nb"), (Words{"a", "\n", "\n", "b"})) << "only a space goes with a word";
  EXPECT_EQ(words_of("a \nb"), (Words{"a", " ", "\n", "b"}));
  EXPECT_EQ(words_of("it's he'll I'd we've"), (Words{"it", "'s", " he", "'ll", " I", "'d", " we", "'ve"}));
  EXPECT_EQ(words_of("'S 's"), (Words{"'", "S", " '", "s"})) << "neither capitals nor behind a space";
  EXPECT_EQ(words_of("x12½ 3."), (Words{"x", "12½", " 3", "."}));
  EXPECT_EQ(words_of("a,b !?"), (Words{"a", ",", "b", " !?"}));
  EXPECT_EQ(words_of("é漢\u0301"), (Words{"é漢", "\u0301"})) << "a mark is no letter";
  EXPECT_EQ(words_of("a\u3000\u3000b"), (Words{"a", "\u3000", "\u3000", "b"}));
  EXPECT_EQ(words_of(" "), (Words{" "}));
}

TEST(ByteLevel, EveryByteIsSpeltByACharacterOfItsOwn) {
  EXPECT_EQ(spell_bytes(" a\n"), "\u0120a\u010A");
  EXPECT_EQ(spell_bytes("é"), "Ã©");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
  }
  const std::string spelt = spell_bytes(all);
  EXPECT_EQ(count_chars(spelt), 256);
  EXPECT_EQ(count_invalid_utf8(spelt), 0);
  std::string back;
  append_spelt_bytes(spelt, back);
  EXPECT_EQ(back, all);
}

TEST(Compose, PutsMarksIntoTheirLetters) {
  EXPECT_EQ(compose("plain"), "plain");
  EXPECT_EQ(compose("e\u0301"), "\u00E9");
  EXPECT_EQ(compose("\u00E9"), "\u00E9");
  EXPECT_EQ(compose("q\u0307\u0323"), "q\u0323\u0307") << "marks by their class";
  EXPECT_EQ(compose("d\u0307\u0323"), "\u1E0D\u0307");
  EXPECT_EQ(compose("\u1112\u1161\u11AB"), "\uD55C") << "a syllable of Hangul";
  EXPECT_EQ(compose("\u212B"), "\u00C5") << "a singleton";
  EXPECT_EQ(compose("\u0958"), "\u0915\u093C") << "excluded from composition";
}

constexpr const char* kByteLevelJson = R"({
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [{"id": 6, "content": "[MASK]", "single_word": false, "lstrip": true, "rstrip": false,
                    "normalized": false, "special": true}],
  "normalizer": {"type": "NFC"},
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": PREFIX, "trim_offsets": true, "use_regex": true},
  "post_processor": null, "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": {"a": 0, "b": 1, "\u0120": 2, "\u0120a": 3, "\u00C3": 4, "\u00A9": 5},
            "merges": [["\u0120", "a"]]}})";

TEST(ByteLevel, ATokenizerOfThatKindEncodesAndDecodes) {
  const test::ScratchDirectory scratch;
  std::string json = kByteLevelJson;
  json.replace(json.find("PREFIX"), 6, "false");
  const auto plain = load_tokenizer(scratch.write("plain/tokenizer.json", json), std::nullopt);
  const auto ids_of = [](const Tokenizer& tokenizer, const std::string& text) {
    std::vector<int32_t> ids;
    tokenizer.encode(text, ids);
    return ids;
  };
  EXPECT_EQ(ids_of(*plain, "a ab"), (std::vector<int32_t>{0, 3, 1}));
  EXPECT_EQ(ids_of(*plain, "e\u0301"), (std::vector<int32_t>{4, 5})) << "composed, then spelt";
  EXPECT_EQ(ids_of(*plain, "a [MASK]b"), (std::vector<int32_t>{0, 6, 1})) << "takes the space before it";
  EXPECT_EQ(plain->decode(std::vector<int32_t>{0, 3, 1, 4, 5}), "a ab\u00E9");
  json = kByteLevelJson;
  json.replace(json.find("PREFIX"), 6, "true");
  const auto spaced = load_tokenizer(scratch.write("spaced/tokenizer.json", json), std::nullopt);
  EXPECT_EQ(ids_of(*spaced, "ab a"), (std::vector<int32_t>{3, 1, 3}));
  EXPECT_EQ(ids_of(*spaced, " a"), (std::vector<int32_t>{3}));
  std::vector<int32_t> inside;
  spaced->encode("ab a", inside, {.before = Before::kText});
  EXPECT_EQ(inside, (std::vector<int32_t>{0, 1, 3})) << "no space where the text goes on";
}

TEST(ByteLevel, WithoutTheRegularExpressionItIsRefused) {
  const test::ScratchDirectory scratch;
  std::string json = kByteLevelJson;
  json.replace(json.find("PREFIX"), 6, "true");
  json.replace(json.find("\"use_regex\": true"), 17, "\"use_regex\": false");
  const auto path = scratch.write("tokenizer.json", json);
  EXPECT_TRUE(test::contains(test::message_of<DataError>([&] { load_tokenizer(path, std::nullopt); }), "use_regex"));
}

}  // namespace
}  // namespace bertcram::text
