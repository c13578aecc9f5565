#include "bertcram/text/normalizer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "text_test_support.h"

namespace bertcram::text {
namespace {

using Words = std::vector<std::string>;

constexpr NormalizerOptions kCased = {
    .clean_text = true, .handle_chinese_chars = true, .strip_accents = false, .lowercase = false};

/// Canonical order: runs of combining characters sorted by class, stably.
void order_canonically(std::u32string& text) {
  for (auto begin = text.begin(); begin != text.end();) {
    const auto is_starter = [](char32_t c) { return canonical_combining_class(c) == 0; };
    const auto end = is_starter(*begin) ? begin + 1 : std::find_if(begin, text.end(), is_starter);
    std::stable_sort(
        begin, end, [](char32_t a, char32_t b) { return canonical_combining_class(a) < canonical_combining_class(b); });
    begin = end;
  }
}

/// The steps of BertNormalizer one after another, each over the whole text.
std::u32string normalize_stepwise(const std::u32string& input, const NormalizerOptions& options) {
  std::u32string text;
  for (const char32_t c : input) {
    if (options.clean_text && (c == 0 || c == kReplacementCharacter || is_control(c))) {
      continue;
    }
    text += options.clean_text && is_whitespace(c) ? U' ' : c;
  }
  std::u32string spaced;
  for (const char32_t c : text) {
    spaced += options.handle_chinese_chars && is_cjk(c) ? std::u32string{U' ', c, U' '} : std::u32string{c};
  }
  std::u32string stripped = options.strip_accents ? U"" : spaced;
  if (options.strip_accents) {
    for (const char32_t c : spaced) {
      stripped += decompose(c);
    }
    order_canonically(stripped);
    std::erase_if(stripped, is_nonspacing_mark);
  }
  std::u32string lower;
  for (const char32_t c : stripped) {
    lower += options.lowercase ? lowercase(c) : std::u32string{c};
  }
  return lower;
}

Words split_stepwise(const std::u32string& text) {
  Words words;
  std::u32string word;
  const auto flush = [&] {
    if (!word.empty()) {
      words.push_back(to_utf8(word));
      word.clear();
    }
  };
  for (const char32_t c : text) {
    if (is_whitespace(c) || is_punctuation(c)) {
      flush();
    }
    if (is_punctuation(c)) {
      words.push_back(to_utf8({&c, 1}));
    } else if (!is_whitespace(c)) {
      word.push_back(c);
    }
  }
  flush();
  return words;
}

TEST(Normalizer, SplitsAtWhiteSpaceAndPunctuation) {
  const Normalizer normalizer(NormalizerOptions{});
  EXPECT_EQ(normalizer.words(" \tHeLLo!how  \n Are yoU?  "), (Words{"hello", "!", "how", "are", "you", "?"}));
  EXPECT_EQ(normalizer.words("a$b"), (Words{"a", "$", "b"}));
  EXPECT_EQ(normalizer.words(""), Words{});
  EXPECT_EQ(normalizer.words(" \n\x01 "), Words{});
}

TEST(Normalizer, StripsAccentsAndLowersOnlyWhenAsked) {
  EXPECT_EQ(Normalizer(NormalizerOptions{}).words("Äpfel ÉCOLE"), (Words{"apfel", "ecole"}));
  EXPECT_EQ(Normalizer(kCased).words("Äpfel ÉCOLE"), (Words{"Äpfel", "ÉCOLE"}));
  const NormalizerOptions lower_only = {
      .clean_text = true, .handle_chinese_chars = true, .strip_accents = false, .lowercase = true};
  EXPECT_EQ(Normalizer(lower_only).words("Äpfel İ"), (Words{"äpfel", "i\u0307"}));
}

TEST(Normalizer, DropsControlCharactersAndIsolatesIdeographs) {
  const Normalizer normalizer(NormalizerOptions{});
  EXPECT_EQ(normalizer.words("so\u00ADft\u200B zero\uFFFD"), (Words{"soft", "zero"}));
  EXPECT_EQ(normalizer.words("ah\u535A\u63A8zz"), (Words{"ah", "\u535A", "\u63A8", "zz"}));
}

TEST(Normalizer, PutsSurvivingCombiningCharactersInCanonicalOrder) {
  const Normalizer normalizer(NormalizerOptions{});
  // U+302E (class 224) after U+1D16D (226), a format character between them.
  EXPECT_EQ(normalizer.words("a\U0001D16D\u200B\u302E"), (Words{"a\u302E\U0001D16D"}));
  EXPECT_EQ(normalizer.words("a\U0001D16Db\u302E"), (Words{"a\U0001D16Db\u302E"}));
}

TEST(Normalizer, TreatsInvalidBytesAsReplacementCharacters) {
  EXPECT_EQ(Normalizer(NormalizerOptions{})
                .words("ab\xFF"
                       "cd \xE2\x82"),
            (Words{"abcd"}));
  NormalizerOptions unclean;
  unclean.clean_text = false;
  EXPECT_EQ(Normalizer(unclean).words("ab\xFF"), (Words{"ab\uFFFD"}));
}

TEST(Normalizer, KeepsWordsLongerThanItsBuffer) {
  const std::string word(10'000, 'x');
  EXPECT_EQ(Normalizer(NormalizerOptions{}).words(word + " é" + word), (Words{word, "e" + word}));
}

TEST(NormalizerProperty, EqualsTheStepwiseDefinitionOnRandomTextUnderEveryOption) {
  const uint64_t seed = test_seed();
  for (unsigned bits = 0; bits < 16; ++bits) {
    const NormalizerOptions options = {.clean_text = (bits & 1) != 0,
                                       .handle_chinese_chars = (bits & 2) != 0,
                                       .strip_accents = (bits & 4) != 0,
                                       .lowercase = (bits & 8) != 0};
    const Normalizer normalizer(options);
    util::RandomStream rng(util::mix_key({seed, bits}));
    for (int i = 0; i < 1500; ++i) {
      const std::u32string text = random_code_points(rng, i % 50 == 0 ? 700 : 20);
      ASSERT_EQ(normalizer.words(to_utf8(text)), split_stepwise(normalize_stepwise(text, options)))
          << "seed " << seed << ", options " << bits << ", text " << i << ": " << ::testing::PrintToString(text);
    }
  }
}

TEST(WordScanner, CanBeUsedForOneTextAfterAnother) {
  const Normalizer normalizer(NormalizerOptions{});
  WordScanner scanner(normalizer);
  for (int i = 0; i < 2; ++i) {
    scanner.reset("Ab ,");
    EXPECT_EQ(scanner.next(), "ab");
    EXPECT_EQ(scanner.next(), ",");
    EXPECT_EQ(scanner.next(), "");
    EXPECT_EQ(scanner.next(), "");
  }
}

}  // namespace
}  // namespace bertcram::text
