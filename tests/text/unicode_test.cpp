#include "bertcram/text/unicode.h"

#include <gtest/gtest.h>

#include <array>

#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "text_test_support.h"

namespace bertcram::text {
namespace {

TEST(Utf8, EveryCodePointSurvivesEncodingAndDecoding) {
  for (char32_t c = 0; c <= kLastCodePoint; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) {
      continue;
    }
    std::string bytes;
    append_utf8(c, bytes);
    const DecodedChar decoded = decode_utf8(bytes);
    ASSERT_TRUE(decoded.valid && decoded.code_point == c && decoded.size_bytes == bytes.size()) << uint32_t{c};
  }
}

TEST(Utf8, InvalidBytesBecomeOneReplacementPerMaximalSubpart) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(repair_utf8("a\x80z"), "a" + r + "z");
  EXPECT_EQ(repair_utf8("\xC0\xAF"), r + r);                  // overlong
  EXPECT_EQ(repair_utf8("\xED\xA0\x80"), r + r + r);          // surrogate
  EXPECT_EQ(repair_utf8("\xF4\x90\x80\x80"), r + r + r + r);  // above U+10FFFF
  EXPECT_EQ(repair_utf8("\xE2\x82"), r);                      // cut off
  EXPECT_EQ(repair_utf8("\xF0\x9F\x98z"), r + "z");           // cut off, then a letter
  EXPECT_EQ(repair_utf8("\xF1\x80\x80\xE1\x80\xC2"
                        "b"),
            r + r + r + "b");  // Unicode, table 3-11
  EXPECT_EQ(count_invalid_utf8("\xE2\x82"
                               "ok\xFF"),
            2);
  EXPECT_EQ(count_chars("a\xFF\xE2\x82\xAC"), 3);
}

TEST(CharacterClasses, AreThoseOfHuggingFaceWhereUnicodeVersionsDiffer) {
  EXPECT_TRUE(is_punctuation(U'$') && is_punctuation(U'·') && is_punctuation(0x166D));
  EXPECT_FALSE(is_punctuation(0x2E43)) << "punctuation since Unicode 9";
  EXPECT_FALSE(is_punctuation(U'€'));
  EXPECT_TRUE(is_nonspacing_mark(0x301) && is_nonspacing_mark(0x1734));
  EXPECT_FALSE(is_nonspacing_mark(0x1ABF));
  EXPECT_TRUE(is_control(0xAD) && is_control(0xE000) && is_control(0x7F));
  EXPECT_TRUE(is_blank("") && is_blank(" \t\xC2\xA0\xE2\x80\x8B\xEF\xBB\xBF"));
  EXPECT_FALSE(is_blank("\xC2\xA0\xC3\xA9") || is_blank(" . ") || is_blank("\xFF"))
      << "what is not UTF-8 is not nothing";
  EXPECT_FALSE(is_control(U'\t') || is_control(0x8E2) || is_control(0x378)) << "unassigned is not control";
  EXPECT_TRUE(is_whitespace(0x3000) && is_whitespace(0x85) && is_whitespace(0x0B));
  EXPECT_FALSE(is_whitespace(0x200B));
  EXPECT_TRUE(is_cjk(0x4E00) && is_cjk(0x2FA1F));
  EXPECT_FALSE(is_cjk(0x2B820) || is_cjk(0x3042) || is_cjk(0xAC00));
  EXPECT_EQ(lowercase(0x130), U"i\u0307");
  EXPECT_EQ(lowercase(U'Σ'), U"σ");
  EXPECT_EQ(lowercase(0xA7DC), std::u32string{char32_t{0x19B}});
  EXPECT_EQ(decompose(0x1EA4), U"A\u0302\u0301");
  EXPECT_EQ(decompose(0xAC01), U"\u1100\u1161\u11A8");
}

/// One hash over everything the tokenizer asks about every code point, compared with `tokenizers` 0.23.3 when it was
/// recorded. It fails where utf8proc has another Unicode version: then the exception tables must be made anew.
TEST(CharacterClasses, AreTheSameForEveryCodePointAsWhenComparedWithHuggingFace) {
  util::StreamHash hash;
  for (char32_t c = 0; c <= kLastCodePoint; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) {
      continue;
    }
    hash.update(cat(is_whitespace(c), is_control(c), is_cjk(c), is_punctuation(c), is_nonspacing_mark(c),
                    canonical_combining_class(c), to_utf8(decompose(c)), to_utf8(lowercase(c))));
  }
  EXPECT_EQ(hash.digest128().hex(), "47ba36dcdf174ce706f114007f7a5f83");
}

/// The normaliser looks at one block of each of these planes only.
TEST(CharacterClasses, EmptyAndPrivatePlanesAreUniform) {
  const auto classes = [](char32_t c) {
    const std::u32string itself = {c};
    return std::array{is_whitespace(c),       is_control(c),         is_cjk(c),
                      is_punctuation(c),      is_nonspacing_mark(c), canonical_combining_class(c) != 0,
                      decompose(c) != itself, lowercase(c) != itself};
  };
  const auto expect_uniform = [&](char32_t first_plane, char32_t last_plane) {
    const auto first = classes(first_plane << 16);
    for (char32_t c = first_plane << 16; c <= (last_plane << 16 | 0xFFFF); ++c) {
      if ((c & 0xFF00) != 0xFF00) {  // the last block of a plane is looked at: it has two code points of no category
        ASSERT_EQ(classes(c), first) << uint32_t{c};
      }
    }
  };
  expect_uniform(4, 13);
  expect_uniform(15, 16);
}

}  // namespace
}  // namespace bertcram::text
