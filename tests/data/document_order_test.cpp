// The order of packed documents: by chance, or by how long their sentences are.

#include "data/document_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/packing_support.h"

namespace bertcram::data {
namespace {

constexpr uint64_t kOne = 1024;

TEST(MeanSentenceWords, CountsWordsBetweenEndsOfSentences) {
  EXPECT_EQ(mean_sentence_words("One two three. Four five!\n"), 5 * kOne / 2);
  EXPECT_EQ(mean_sentence_words("He said \"go on.\" Then he went.\n"), 7 * kOne / 2);
  EXPECT_EQ(mean_sentence_words("A title\nand a text of six words\n"), 8 * kOne / 2);
  EXPECT_EQ(mean_sentence_words("It is 3.14 or so... Really?!"), 7 * kOne / 2);  // 3 and 14 are two words
  EXPECT_EQ(mean_sentence_words("no end at all"), 4 * kOne);
  EXPECT_EQ(mean_sentence_words("我喜歡書。你呢？"), 6 * kOne / 2);
}

TEST(MeanSentenceWords, IsNothingWithoutWords) {
  EXPECT_EQ(mean_sentence_words(""), 0U);
  EXPECT_EQ(mean_sentence_words("... !\n\n?"), 0U);
}

TEST(SentenceLevel, GrowsAndSpreadsTheUsualLengths) {
  uint16_t last = 0;
  for (uint64_t mean = 0; mean < 200 * kOne; mean += 37) {
    EXPECT_GE(sentence_level(mean), last) << mean;
    last = sentence_level(mean);
  }
  EXPECT_EQ(sentence_level(0), 0);
  EXPECT_EQ(sentence_level(2 * kOne), 0);
  EXPECT_EQ(sentence_level(16 * kOne), 32768);  // the middle of 2 and 128 on a logarithmic scale
  EXPECT_GT(sentence_level(128 * kOne), 65500);
  EXPECT_EQ(sentence_level(128 * kOne), sentence_level(~uint64_t{0} >> 11));
}

TEST(DocumentPlaceProperty, CurriculumSortsByLevelAndBreaksTiesByChance) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  struct Placed {
    uint64_t place;
    uint64_t mean;
  };
  std::vector<Placed> documents;
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    const uint64_t words = 1 + random.below(60);
    for (uint64_t sentence = 0; sentence < 5; ++sentence) {
      text += test::random_words(random, words) + ". ";
    }
    documents.push_back(
        {.place = document_place(config::DocumentOrder::kCurriculum, 7, text, util::hash128(text)), .mean = words});
  }
  std::ranges::sort(documents, {}, &Placed::place);
  for (size_t i = 1; i < documents.size(); ++i) {
    EXPECT_LE(documents[i - 1].mean, std::max<uint64_t>(2, documents[i].mean));
  }
}

TEST(DocumentPlace, ShuffledPlacesDependOnTheSeedAlone) {
  const auto place = [](config::DocumentOrder order, int64_t seed, const char* text) {
    return document_place(order, seed, text, util::hash128(std::string_view("the same")));
  };
  using enum config::DocumentOrder;
  EXPECT_EQ(place(kShuffled, 1, "Short."), place(kShuffled, 1, "A longer sentence than that."));
  EXPECT_NE(place(kShuffled, 1, "Short."), place(kShuffled, 2, "Short."));
  EXPECT_LT(place(kCurriculum, 1, "Short."), place(kCurriculum, 1, "A longer sentence than that."));
}

TEST(PlaceOfCopy, IsElsewhereButOnTheSameLevel) {
  using enum config::DocumentOrder;
  const uint64_t first = 0x1234'5678'9abc'def0;
  EXPECT_EQ(place_of_copy(kShuffled, first, 0), first);
  EXPECT_NE(place_of_copy(kShuffled, first, 1) >> 48, first >> 48);
  EXPECT_NE(place_of_copy(kShuffled, first, 1), place_of_copy(kShuffled, first, 2));
  EXPECT_EQ(place_of_copy(kCurriculum, first, 0), first);
  EXPECT_EQ(place_of_copy(kCurriculum, first, 1) >> 48, first >> 48);
  EXPECT_NE(place_of_copy(kCurriculum, first, 1), first);
}

}  // namespace
}  // namespace bertcram::data
