// Small text helpers: what messages show and options read.

#include "bertcram/util/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "bertcram/util/random.h"
#include "util/test_support.h"

namespace bertcram::util {
namespace {

using Strings = std::vector<std::string>;
using Views = std::vector<std::string_view>;

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a,,b,", ','), (Views{"a", "", "b", ""}));
  EXPECT_EQ(split("", ','), (Views{""}));
}

TEST(Text, JoinUndoesSplitAlsoWithEmptyParts) {
  EXPECT_EQ(join(Strings{"a", "", "b"}, ","), "a,,b");
  EXPECT_EQ(join(Strings{"", "a"}, ","), ",a");
  EXPECT_EQ(join(Strings{}, ","), "");
}

TEST(Text, TrimTakesWhiteSpaceAtBothEndsOnly) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \v\f "), "");
  EXPECT_EQ(trim("\xC2\xA0"), "\xC2\xA0");  // a no-break space is no ASCII white space
}

TEST(Text, LowersAsciiOnly) { EXPECT_EQ(to_lower_ascii("AbZ É"), "abz É"); }

TEST(Text, FormatsBytesAndCounts) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(int64_t{3} << 40), "3.0 TiB");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(12'345'678), "12,345,678");
  EXPECT_EQ(format_count(-123'456), "-123,456");
}

TEST(Text, FormatsDurations) {
  EXPECT_EQ(format_duration(-3), "0 s");
  EXPECT_EQ(format_duration(59.4), "59 s");
  EXPECT_EQ(format_duration(59.6), "1 min 00 s");
  EXPECT_EQ(format_duration(200), "3 min 20 s");
  EXPECT_EQ(format_duration(3600 * 4 + 5 * 60), "4 h 05 min");
  EXPECT_EQ(format_duration(3600 * 100), "100 h 00 min");
  EXPECT_TRUE(format_duration(1e300).ends_with(" min")) << format_duration(1e300);
  EXPECT_FALSE(format_duration(1e300).starts_with("-")) << format_duration(1e300);
}

TEST(Text, ReadsDurations) {
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("15m"), 900);
  EXPECT_EQ(parse_duration("100h"), 360'000);
  EXPECT_EQ(parse_duration("2d"), 172'800);
  EXPECT_EQ(parse_duration("1h30m"), 5400);
  EXPECT_EQ(parse_duration("0.5h"), 1800);
  EXPECT_EQ(parse_duration("42"), 42);
}

TEST(Text, SizesInBytes) {
  EXPECT_EQ(parse_bytes("8GiB"), int64_t{8} << 30);
  EXPECT_EQ(parse_bytes("1.5MiB"), 3 << 19);
  EXPECT_EQ(parse_bytes("8GB"), 8'000'000'000);
  EXPECT_EQ(parse_bytes("64kB"), 64'000);
  EXPECT_EQ(parse_bytes("17"), 17);
  EXPECT_EQ(parse_bytes("17B"), 17);
  for (const char* text : {"", "GiB", "8G", "8 GiB", "-1GiB", "8gib", "9999999TiB", "1.2.3MB", "8GiBB"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << "'" << text << "'";
  }
}

TEST(Text, RefusesWhatIsNoDuration) {
  for (const char* text : {"", "h", "1x", "1h30", "-1", "-1h", "1 h", "1.2.3h", "nan", "inf", "1h m", "h1"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << "'" << text << "'";
  }
}

TEST(Text, ReadsWholeNumbersOnly) {
  EXPECT_EQ(parse_int("-12"), -12);
  EXPECT_EQ(parse_int("9223372036854775807"), 9223372036854775807LL);
  for (const char* text : {"", "9223372036854775808", "1.0", "1e3", " 1", "1 ", "0x10", "+1", "1'000"}) {
    EXPECT_EQ(parse_int(text), std::nullopt) << "'" << text << "'";
  }
  EXPECT_EQ(parse_double("1e-3"), 1e-3);
  EXPECT_EQ(parse_double("-2"), -2.0);
  for (const char* text : {"", "nan", "inf", "-inf", "1e999", "1,5", "1 ", "one"}) {
    EXPECT_EQ(parse_double(text), std::nullopt) << "'" << text << "'";
  }
}

TEST(Text, ReadsCountsAsPeopleWriteThem) {
  const std::vector<std::pair<const char*, int64_t>> counts = {
      {"2000000", 2'000'000},
      {"-5", -5},
      {"1e6", 1'000'000},
      {"2.3e9", 2'300'000'000},
      {"32k", 32'000},
      {"32K", 32'000},
      {"300M", 300'000'000},
      {"2.0", 2},
      {"1.5G", 1'500'000'000},
      {"2.3B", 2'300'000'000},
      {"1.001G", 1'001'000'000},  // the product of 1.001 and 1e9 is no whole number
      {"9223372036854775807", 9223372036854775807}};
  for (const auto& [text, count] : counts) {
    EXPECT_EQ(parse_count(text), count) << text;
  }
  for (const char* text : {"", "k", "M", "fast", "1.5", "1e-3", "2.3001k", "2MM", "2e3k", "300m", "1e19",
                           "9223372036854775808", "10B B", " 1k", "nan", "inf", "0x10"}) {
    EXPECT_EQ(parse_count(text), std::nullopt) << "'" << text << "'";
  }
}

TEST(Text, WritesBoundsForPeople) {
  EXPECT_EQ(format_plain(1e6), "1,000,000");
  EXPECT_EQ(format_plain(1e-6), "0.000001");
  EXPECT_EQ(format_plain(0.9), "0.9");
  EXPECT_EQ(format_plain(-1), "-1");
}

TEST(Text, ReadsTruth) {
  for (const char* text : {"true", "Yes", "ON"}) {
    EXPECT_EQ(parse_bool(text), true) << text;
  }
  for (const char* text : {"False", "no", "off"}) {
    EXPECT_EQ(parse_bool(text), false) << text;
  }
  for (const char* text : {"", "1", "y", "truth", " true"}) {
    EXPECT_EQ(parse_bool(text), std::nullopt) << "'" << text << "'";
  }
}

TEST(TextProperty, NumbersReadBackAsTheyWereWritten) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  RandomStream random(seed);
  for (int round = 0; round < 2000; ++round) {
    const double value = (random.uniform() - 0.5) * std::pow(10.0, static_cast<double>(random.below(60)) - 30.0);
    ASSERT_EQ(parse_double(format_number(value)), value);
  }
  EXPECT_EQ(format_number(0.1), "0.1");
  EXPECT_EQ(format_number(1e-12), "1e-12");
}

TEST(Text, CountsEdits) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("same", "same"), 0);
  EXPECT_EQ(edit_distance("ab", "ba"), 2);
}

TEST(TextProperty, EditDistanceIsAMetric) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  RandomStream random(seed);
  const auto word = [&] {
    std::string letters;
    for (uint64_t left = random.below(9); left > 0; --left) {
      letters += static_cast<char>('a' + random.below(3));
    }
    return letters;
  };
  for (int round = 0; round < 2000; ++round) {
    const std::string a = word();
    const std::string b = word();
    const std::string c = word();
    ASSERT_EQ(edit_distance(a, b), edit_distance(b, a));
    ASSERT_EQ(edit_distance(a, b) == 0, a == b);
    ASSERT_LE(edit_distance(a, c), edit_distance(a, b) + edit_distance(b, c));
  }
}

TEST(Text, NearestNameIsTheOneThatWasMeant) {
  const Strings names = {"mask.mask_prob", "mask.mask_share", "seed"};
  EXPECT_EQ(nearest_name("mask.mask_prop", names), "mask.mask_prob");
  EXPECT_EQ(nearest_name("sede", names), "seed");
  EXPECT_EQ(nearest_name("zzzzzz", names), std::nullopt);
}

TEST(Text, NearestCommandIsTheOneThatBeginsWithTheWord) {
  const Strings names = {"fill-mask", "finetune-glue", "plan"};
  EXPECT_EQ(nearest_command("finetune", names), "finetune-glue");
  EXPECT_EQ(nearest_command("plam", names), "plan");
  EXPECT_EQ(nearest_command("fine", names), std::nullopt) << "a part of its first word";
}

TEST(Text, AnUnknownNameHasItsNearestOrAllThatAreKnown) {
  const Strings names = {"sentence1", "label"};
  EXPECT_EQ(nearest_or_known("lable", names), "did you mean 'label'?");
  EXPECT_EQ(nearest_or_known("lable", names, "columns."), "did you mean 'columns.label'?");
  EXPECT_EQ(nearest_or_known("zzzzzz", names, "columns."), "known: sentence1, label");
}

TEST(Text, ExcerptIsOneLine) {
  EXPECT_EQ(excerpt("a\nb\x01"), "a?b?");
  EXPECT_EQ(excerpt("abcdef", 3), "abc…");
  EXPECT_EQ(excerpt("abc", 3), "abc");
}

TEST(TextProperty, ExcerptNeverCutsACharacter) {
  const std::string text = "aé€𝄞 aé€𝄞";  // 1, 2, 3 and 4 bytes
  for (size_t length = 0; length <= text.size(); ++length) {
    std::string shown = excerpt(text, length);
    if (length < text.size()) {
      ASSERT_TRUE(shown.ends_with("…"));
      shown.resize(shown.size() - std::string_view("…").size());
    }
    EXPECT_LE(shown.size(), length);
    EXPECT_TRUE(text.starts_with(shown));
    const bool on_boundary =
        shown.size() == text.size() || (static_cast<unsigned char>(text[shown.size()]) & 0xC0U) != 0x80U;
    EXPECT_TRUE(on_boundary) << length;
  }
}

}  // namespace
}  // namespace bertcram::util
