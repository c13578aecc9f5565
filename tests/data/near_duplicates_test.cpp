// MinHash against the similarity that it estimates, and clusters that do not depend on order.

#include "data/near_duplicates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "data/word_runs.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using test::ScratchDirectory;
using Words = std::vector<uint64_t>;

Words random_words(util::RandomStream& random, size_t count) {
  Words words(count);
  std::ranges::generate(words, [&] { return random.next(); });
  return words;
}

double jaccard(const Words& a, const Words& b) {
  std::set<uint64_t> runs_a;
  std::set<uint64_t> runs_b;
  for_each_run(a, 5, [&](uint64_t run) { runs_a.insert(run); });
  for_each_run(b, 5, [&](uint64_t run) { runs_b.insert(run); });
  std::vector<uint64_t> both;
  std::ranges::set_intersection(runs_a, runs_b, std::back_inserter(both));
  return static_cast<double>(both.size()) / static_cast<double>(runs_a.size() + runs_b.size() - both.size());
}

double agreement(const Words& a, const Words& b) {
  const auto left = *min_hash(a);
  const auto right = *min_hash(b);
  int equal = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    equal += left[i] == right[i] ? 1 : 0;
  }
  return equal / static_cast<double>(left.size());
}

TEST(MinHashProperty, AgreementEstimatesTheJaccardSimilarity) {
  util::RandomStream random(test::test_seed());
  for (const size_t length : {60U, 300U, 3000U}) {
    for (const size_t changed : {0U, 10U, 25U, 50U}) {
      const Words a = random_words(random, length);
      Words b = a;
      const size_t count = length * changed / 100;
      std::ranges::generate(b.end() - static_cast<std::ptrdiff_t>(count), b.end(), [&] { return random.next(); });
      const double similarity = jaccard(a, b);
      // Standard error at most 0.5 / sqrt(parts that are filled of themselves).
      EXPECT_NEAR(agreement(a, b), similarity, 2.5 / std::sqrt(std::min<double>(128, static_cast<double>(length))))
          << length << " words, " << changed << " % changed";
    }
  }
}

TEST(MinHashProperty, EqualTextsAgreeInAllPartsAndOthersInNone) {
  util::RandomStream random(test::test_seed() + 1);
  for (const size_t length : {1U, 3U, 7U, 200U}) {
    const Words a = random_words(random, length);
    EXPECT_EQ(agreement(a, a), 1.0);
    EXPECT_LT(agreement(a, random_words(random, length)), 0.05);
  }
  EXPECT_FALSE(min_hash(Words{}).has_value());
}

TEST(BandsFor, MeetAboveTheSimilarityAndNotBelow) {
  for (const double similarity : {0.5, 0.7, 0.8, 0.9}) {
    const Bands bands = bands_for(similarity);
    EXPECT_LE(bands.count * bands.rows, 128);
    const auto chance = [&](double at) {
      return 1 - std::pow(1 - std::pow(at, bands.rows), static_cast<double>(bands.count));
    };
    EXPECT_GT(chance(similarity + 0.08), 0.7) << similarity << ": " << bands.count << " x " << bands.rows;
    EXPECT_LT(chance(similarity - 0.15), 0.3) << similarity << ": " << bands.count << " x " << bands.rows;
  }
}

class NearDuplicatesProperty : public ::testing::Test {
 protected:
  struct Document {
    Words words;
    uint64_t place;
  };

  /// Places of the documents that are kept, in ascending order.
  std::vector<uint64_t> kept(const std::vector<Document>& documents) {
    WorkFolder work(scratch_.path(), "request", {}, Foreign::kRefuse, util::StopFlag());
    NearDuplicates near(work, 0.8);
    std::vector<uint32_t> numbers;
    for (const Document& document : documents) {
      numbers.push_back(near.add(document.words, document.place));
    }
    near.link(util::StopFlag());
    std::vector<uint64_t> places;
    for (size_t i = 0; i < documents.size(); ++i) {
      if (near.is_kept(numbers[i])) {
        places.push_back(documents[i].place);
      }
    }
    std::ranges::sort(places);
    return places;
  }

  ScratchDirectory scratch_;
};

TEST_F(NearDuplicatesProperty, KeepsTheFirstPlaceOfEachCluster) {
  util::RandomStream random(test::test_seed());
  std::vector<Document> documents;
  std::vector<uint64_t> expected;
  for (uint64_t cluster = 0; cluster < 20; ++cluster) {
    const Words original = random_words(random, 200);
    for (uint64_t copy = 0; copy < 4; ++copy) {
      Words words = original;
      words[random.below(200)] = random.next();  // one word of 200: similarity 0.95
      documents.push_back({.words = words, .place = 1000 * cluster + 10 * copy + 7});
    }
    expected.push_back(1000 * cluster + 7);
  }
  documents.push_back({.words = {}, .place = 90'001});  // no words: like no other
  documents.push_back({.words = {}, .place = 90'002});
  expected.insert(expected.end(), {90'001, 90'002});
  EXPECT_EQ(kept(documents), expected);

  for (size_t i = documents.size(); i > 1; --i) {
    std::swap(documents[i - 1], documents[random.below(i)]);
  }
  EXPECT_EQ(kept(documents), expected);
}

TEST_F(NearDuplicatesProperty, DifferentTextsStay) {
  util::RandomStream random(test::test_seed() + 2);
  std::vector<Document> documents;
  for (uint64_t i = 0; i < 300; ++i) {
    documents.push_back({.words = random_words(random, 10 + random.below(100)), .place = i});
  }
  EXPECT_EQ(kept(documents).size(), 300U);
}

}  // namespace
}  // namespace bertcram::data
