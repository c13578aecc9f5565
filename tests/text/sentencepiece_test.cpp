#include "bertcram/text/sentencepiece_tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "bertcram/text/sentencepiece_trainer.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "spm_test_support.h"
#include "text_test_support.h"
#include "util/source_dir.h"

namespace bertcram::text {
namespace {

using Ids = std::vector<int32_t>;

SentencePieceTokenizer tokenizer_of(const SpmModel& model) { return {spm_bytes(model), "x.model"}; }

bool mentions(const std::string& message, std::string_view part) { return message.find(part) != std::string::npos; }

TEST(SentencePieceGolden, AgreesWithTheReferenceIdsOfTheTestModel) {
  const auto folder = test::data_dir() / "vocab";
  if (!std::filesystem::exists(folder / "goldens_sentencepiece_test_model.jsonl")) {
    GTEST_SKIP() << "no reference data in " << folder << "; set BERTCRAM_DATA_DIR";
  }
  const auto tokenizer = load_tokenizer(folder / "sentencepiece_test_model.model", std::nullopt);
  std::ifstream goldens(folder / "goldens_sentencepiece_test_model.jsonl");
  int records = 0;
  for (std::string line; std::getline(goldens, line); ++records) {
    const auto record = nlohmann::json::parse(line);
    EXPECT_EQ(ids_of(*tokenizer, record["text"].get<std::string>()), record["ids"].get<Ids>()) << record["text"];
  }
  EXPECT_EQ(records, 1872);
}

TEST(SentencePiece, EncodesWithTheBestSumOfScores) {
  const auto tokenizer = tokenizer_of(small_spm());
  EXPECT_EQ(ids_of(tokenizer, "ab"), (Ids{9}));
  EXPECT_EQ(ids_of(tokenizer, " ab  ba "), (Ids{9, 5, 7, 6})) << "white space around and between words counts once";
  EXPECT_EQ(ids_of(tokenizer, "xya"), (Ids{5, 1, 6})) << "unknown neighbours are one";
  EXPECT_EQ(ids_of(tokenizer, ""), (Ids{}));
}

TEST(SentencePiece, RecognisesControlPiecesInTextUnlessToldNotTo) {
  const auto tokenizer = tokenizer_of(small_spm());
  EXPECT_EQ(ids_of(tokenizer, "a[MASK] ab[UNK]"), (Ids{5, 6, 4, 9, 1}));
  EXPECT_EQ(ids_of(tokenizer, "a[M[UNK]", kPlain), (Ids{5, 6, 10, 11, 10, 1}));
}

TEST(SentencePiece, ReadsInvalidUtf8AsReplacementCharacters) {
  SpmModel model = small_spm();
  model.pieces.push_back({"\uFFFD", -4, SpmPieceType::kNormal});
  const auto tokenizer = tokenizer_of(model);
  EXPECT_EQ(ids_of(tokenizer, "a\xFF"), ids_of(tokenizer, "a\uFFFD"));
  EXPECT_EQ(ids_of(tokenizer, "a\xFF"), (Ids{5, 6, 12}));
}

TEST(SentencePiece, DecodesPiecesAndBytesIntoText) {
  SpmModel model = small_spm();
  model.byte_fallback = true;
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    model.pieces.push_back({{'<', '0', 'x', kHex[byte / 16], kHex[byte % 16], '>'}, 0, SpmPieceType::kByte});
  }
  const auto tokenizer = tokenizer_of(model);
  EXPECT_EQ(ids_of(tokenizer, "aé"), (Ids{5, 6, 12 + 0xC3, 12 + 0xA9}));
  EXPECT_EQ(tokenizer.decode(Ids{2, 9, 5, 12 + 0xC3, 12 + 0xA9, 3}), "[CLS] ab é[SEP]");
  EXPECT_EQ(tokenizer.decode(Ids{9, 12 + 0xC3}), "ab\uFFFD") << "half a character";
  EXPECT_EQ(ids_of(*make_subword_tokenizer(spm_bytes(model), "x"), "aé"), ids_of(tokenizer, "aé"));
}

TEST(SentencePiece, NamesTheSpecialTokensThatAModelLacks) {
  SpmModel model = small_spm();
  model.pieces[0].text = "<pad>";
  model.pieces[2].text = "<s>";
  model.pieces[4].type = SpmPieceType::kNormal;
  const auto tokenizer = tokenizer_of(model);
  EXPECT_EQ(tokenizer.roles().pad, 0);
  EXPECT_EQ(tokenizer.roles().cls, 2);
  EXPECT_EQ(tokenizer.roles().mask, std::nullopt) << "a piece that plain text spells is no special token";
  const auto message = message_of<DataError>([&] { tokenizer.special(); });
  EXPECT_TRUE(mentions(message, "x.model") && mentions(message, "[MASK] (or <mask>)")) << message;
  EXPECT_FALSE(mentions(message, "[CLS]") || mentions(message, "[PAD]")) << message;
  EXPECT_EQ(ids_of(tokenizer, "ab"), (Ids{9})) << "plain ids need none of them";
}

TEST(SentencePiece, SavedModelsLoadWithTheSameIdsAndFingerprint) {
  const auto original = tokenizer_of(small_spm());
  const ScratchDirectory scratch;
  original.save(scratch / "tok");
  EXPECT_TRUE(has_tokenizer_files(scratch / "tok"));
  const auto loaded = load_tokenizer(scratch / "tok", std::nullopt);
  EXPECT_EQ(loaded->fingerprint(), original.fingerprint());
  EXPECT_EQ(ids_of(*loaded, "ab [MASK] xa"), ids_of(original, "ab [MASK] xa"));
  EXPECT_EQ(ids_of(*load_tokenizer(scratch / "tok/tokenizer.json", std::nullopt), "ab [MASK] xa"),
            ids_of(original, "ab [MASK] xa"));
  std::string bytes = util::read_file(scratch / "tok/spm.model");
  bytes[bytes.find("▁ab")] ^= 1;
  util::write_file_atomically(scratch / "tok/spm.model", bytes);
  EXPECT_TRUE(mentions(message_of<DataError>([&] { load_tokenizer(scratch / "tok", std::nullopt); }), "spm.model"));
}

TEST(SentencePiece, RefusesToWriteWhatATokenizerJsonCannotSay) {
  const auto refusal = [](auto change) {
    SpmModel model = small_spm();
    change(model);
    const auto tokenizer = tokenizer_of(model);
    const ScratchDirectory scratch;
    const auto message = message_of<DataError>([&] { tokenizer.save(scratch / "tok"); });
    EXPECT_EQ(message_of<DataError>([&] { tokenizer.special(); }), message) << "early, before a corpus is read";
    return message;
  };
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.pieces[8].type = SpmPieceType::kUserDefined; }),
                       "'ab' is a user-defined symbol"));
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.pieces[8].type = SpmPieceType::kUnused; }), "unused piece"));
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.whitespace_suffix = true; }), "treat_whitespace_as_suffix"));
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.escape_whitespaces = false; }), "escape_whitespaces"));
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.type = SpmModelType::kChar; }), "word or char"));
}

TEST(SentencePiece, RefusesModelsThatAreNone) {
  const auto refusal = [](auto change) {
    SpmModel model = small_spm();
    change(model);
    return message_of<DataError>([&] { parse_spm_model(spm_bytes(model), "x.model"); });
  };
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.pieces[1].type = SpmPieceType::kNormal; }), "0 pieces for unknown"));
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.pieces[6].text = "b"; }), "occurs twice"));
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.pieces[6].text = "\xFF"; }), "not valid UTF-8"));
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.pieces[6].score = std::nanf(""); }), "not finite"));
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.pieces[6].type = static_cast<SpmPieceType>(7); }), "type 7"));
  EXPECT_TRUE(mentions(refusal([](SpmModel& m) { m.charsmap = "abcd"; }), "character map"));
  const auto message = message_of<DataError>([] { parse_spm_model("[PAD]\n[UNK]\n", "vocab.model"); });
  EXPECT_TRUE(mentions(message, "no SentencePiece model")) << message;
}

/// A trained model: with a real character map.
const std::string& trained_bytes() {
  static const std::string bytes = [] {
    util::RandomStream rng(5);
    std::vector<std::string> lines;
    for (int i = 0; i < 300; ++i) {
      std::string line;
      for (int word = 0; word < 8; ++word) {
        line += word == 0 ? "" : " ";
        for (uint64_t left = 1 + rng.below(6); left > 0; --left) {
          line += static_cast<char>('a' + rng.below(6));
        }
      }
      lines.push_back(line);
    }
    size_t next = 0;
    return train_sentencepiece([&] { return next < lines.size() ? &lines[next++] : nullptr; }, {.vocab_size = 100});
  }();
  return bytes;
}

TEST(SentencePieceFormat, ATruncatedModelIsRefusedAtEveryLength) {
  const std::string& whole = trained_bytes();
  const size_t needed = whole.size() - 40;  // what follows the normaliser is not needed
  for (size_t size = 0; size < needed; size += size < 3000 ? 61 : 4801) {
    EXPECT_THROW(SentencePieceTokenizer(whole.substr(0, size), "x.model"), DataError) << size;
  }
}

TEST(SentencePieceFormat, AFlippedByteIsRefusedOrHarmless) {
  util::RandomStream rng(test_seed());
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string bytes = trained_bytes();
    const size_t at = rng.below(i % 2 == 0 ? 2500 : bytes.size());
    bytes[at] ^= static_cast<char>(1 + rng.below(255));
    try {
      const SentencePieceTokenizer tokenizer(bytes, "x.model");
      for (const std::string text : {"abc Ａｆé ½ ﬁ", "\u3042 カ\u3099 \u1E9B\u0323", "[MASK] fade"}) {
        for (const int32_t id : ids_of(tokenizer, text)) {
          ASSERT_GE(id, 0) << at;
          ASSERT_LT(id, tokenizer.vocab_size()) << at;
        }
      }
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 20) << "seed " << test_seed();
}

TEST(SentencePiece, GivesTheSameIdsFromManyThreads) {
  expect_same_ids_from_threads(SentencePieceTokenizer(trained_bytes(), "x.model"), 300);
}

}  // namespace
}  // namespace bertcram::text
