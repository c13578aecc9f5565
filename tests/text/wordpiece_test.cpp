#include "bertcram/text/wordpiece.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "bertcram/util/error.h"
#include "text_test_support.h"

namespace bertcram::text {
namespace {

constexpr int32_t kUnknown = 1;

/// The definition: try every end from the right, look the piece up.
std::vector<int32_t> encode_by_definition(const Vocabulary& vocabulary, std::string_view word) {
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin < word.size();) {
    size_t end = word.size();
    std::optional<int32_t> id;
    for (; end > begin && !id; --end) {
      id = vocabulary.find((begin > 0 ? "##" : "") + std::string(word.substr(begin, end - begin)));
    }
    if (!id) {
      return {kUnknown};
    }
    ids.push_back(*id);
    begin = end + 1;
  }
  return ids;
}

std::string random_word(util::RandomStream& rng, uint64_t max_chars) {
  static constexpr std::array<const char*, 5> kLetters = {"a", "b", "c", "é", "漢"};
  std::string word;
  for (uint64_t left = 1 + rng.below(max_chars); left > 0; --left) {
    word += kLetters[rng.below(kLetters.size())];
  }
  return word;
}

TEST(WordPiece, TakesTheLongestPieceFirst) {
  const Vocabulary vocabulary(vocab_with({"un", "una", "##a", "##ff", "##ffa", "##able", "##ble"}), "test");
  std::vector<int32_t> ids;
  WordPiece(vocabulary, kUnknown).encode_word("unaffable", ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{6, 9, 11}));
}

TEST(WordPiece, GivesOneUnknownForAWordThatCannotBeCutToItsEnd) {
  const Vocabulary vocabulary(vocab_with({"a", "##b"}), "test");
  std::vector<int32_t> ids = {7};
  const WordPiece wordpiece(vocabulary, kUnknown);
  wordpiece.encode_word("abbx", ids);
  wordpiece.encode_word("b", ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{7, kUnknown, kUnknown}));
}

TEST(WordPiece, DoesNotUseWhatIsBarred) {
  const Vocabulary vocabulary(vocab_with({"s", "sep", "##e", "##ep", "##p"}), "test");
  const WordPiece wordpiece(vocabulary, kUnknown);
  std::vector<char> barred(10, 0);
  const auto ids_of = [&](std::string_view word) {
    std::vector<int32_t> ids;
    wordpiece.encode_word(word, barred, ids);
    return ids;
  };
  EXPECT_EQ(ids_of("sep"), (std::vector<int32_t>{6}));
  barred[6] = 1;
  EXPECT_EQ(ids_of("sep"), (std::vector<int32_t>{5, 8}));
  barred[8] = 1;
  EXPECT_EQ(ids_of("sep"), (std::vector<int32_t>{5, 7, 9}));
  barred[5] = 1;
  EXPECT_EQ(ids_of("sep"), (std::vector<int32_t>{kUnknown}));
}

TEST(WordPiece, CountsCharactersNotBytesForItsLengthLimit) {
  const Vocabulary vocabulary(vocab_with({"é", "##é"}), "test");
  const WordPiece wordpiece(vocabulary, kUnknown);
  std::string word;
  for (int i = 0; i < 100; ++i) {
    word += "é";
  }
  std::vector<int32_t> ids;
  wordpiece.encode_word(word, ids);
  EXPECT_EQ(ids.size(), 100u);
  ids.clear();
  wordpiece.encode_word(word + "é", ids);
  EXPECT_EQ(ids, std::vector<int32_t>{kUnknown});
}

TEST(WordPiece, WorksWithoutAnyContinuationPiece) {
  const Vocabulary vocabulary(vocab_with({"a"}), "test");
  std::vector<int32_t> ids;
  const WordPiece wordpiece(vocabulary, kUnknown);
  wordpiece.encode_word("a", ids);
  wordpiece.encode_word("aa", ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{5, kUnknown}));
}

TEST(WordPieceProperty, EqualsItsDefinitionOnRandomVocabularies) {
  const uint64_t seed = test_seed();
  util::RandomStream rng(seed);
  for (int round = 0; round < 60; ++round) {
    std::set<std::string> pieces;
    for (uint64_t left = 1 + rng.below(120); left > 0; --left) {
      pieces.insert((rng.below(2) == 0 ? "##" : "") + random_word(rng, 4));
    }
    const Vocabulary vocabulary(vocab_with({pieces.begin(), pieces.end()}), "test");
    const WordPiece wordpiece(vocabulary, kUnknown);
    for (int i = 0; i < 200; ++i) {
      const std::string word = random_word(rng, 12);
      std::vector<int32_t> ids;
      wordpiece.encode_word(word, ids);
      ASSERT_EQ(ids, encode_by_definition(vocabulary, word)) << "seed " << seed << ", word " << word;
    }
  }
}

TEST(DoubleArray, HoldsExactlyItsKeys) {
  const uint64_t seed = test_seed();
  util::RandomStream rng(seed);
  std::map<std::string, int32_t> expected;
  while (expected.size() < 20'000) {
    std::string key;
    for (uint64_t left = 1 + rng.below(6); left > 0; --left) {
      key.push_back(static_cast<char>(rng.below(left > 3 ? 256 : 12)));
    }
    expected.emplace(key, static_cast<int32_t>(expected.size()));
  }
  std::vector<DoubleArray::Entry> entries;
  for (const auto& [key, value] : expected) {
    entries.push_back({key, value});
  }
  const DoubleArray trie(entries);
  for (const auto& [key, value] : expected) {
    const DoubleArray::State state = trie.walk(DoubleArray::kRoot, key);
    ASSERT_TRUE(state != DoubleArray::kNone && trie.value(state) == value) << "seed " << seed;
    const std::string longer = key + static_cast<char>(rng.below(256));
    const DoubleArray::State further = trie.walk(DoubleArray::kRoot, longer);
    const int32_t found = further == DoubleArray::kNone ? -1 : trie.value(further);
    ASSERT_EQ(found, expected.contains(longer) ? expected[longer] : -1) << "seed " << seed;
  }
}

TEST(Vocabulary, RefusesRepeatedEmptyAndUnreadableTokens) {
  EXPECT_NE(message_of<DataError>([] {
              Vocabulary({"a", "b", "a"}, "v.txt");
            }).find("v.txt: token 'a' occurs twice"),
            std::string::npos);
  EXPECT_NE(message_of<DataError>([] { Vocabulary({"a", ""}, "v.txt"); }).find("line 2) is empty"), std::string::npos);
  EXPECT_NE(message_of<DataError>([] { Vocabulary({"\xFF"}, "v.txt"); }).find("not valid UTF-8"), std::string::npos);
  EXPECT_THROW(Vocabulary({}, "v.txt"), DataError);
}

}  // namespace
}  // namespace bertcram::text
