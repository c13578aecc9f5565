// Lines and documents that are too long for memory are cut where it does no harm.

#include <gtest/gtest.h>

#include "bertcram/data/document_reader.h"
#include "bertcram/text/unicode.h"
#include "data/reading_support.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;
using Strings = std::vector<std::string>;

Strings documents_of(std::string_view text) {
  const ScratchDirectory scratch;
  return test::read_documents({scratch.write("some.txt", text)}).documents;
}

/// The unit, repeated to somewhat more than the longest text.
std::string too_long(std::string_view unit) {
  std::string text;
  while (text.size() < kLongestText + 1'000'000) {
    text += unit;
  }
  return text;
}

TEST(LongText, ALineIsCutBehindWhiteSpace) {
  const std::string line = too_long("ab cdefg\t");
  for (const auto format : {config::TextFormat::kBlocks, config::TextFormat::kLines}) {
    const ScratchDirectory scratch;
    const auto result = test::read_documents({scratch.write("text", line + "\n\nend")}, {.input = {.format = format}});
    ASSERT_EQ(result.documents.size(), 3U);
    EXPECT_LE(result.documents[0].size(), kLongestText + 1);
    EXPECT_TRUE(result.documents[0].ends_with(" \n") || result.documents[0].ends_with("\t\n"));
    EXPECT_TRUE(result.documents[0].substr(0, result.documents[0].size() - 1) + result.documents[1] == line + "\n");
    EXPECT_EQ(result.documents[2], "end\n");
    EXPECT_EQ(result.summaries[0].cuts, 1);
  }
}

TEST(LongText, ALineWithoutWhiteSpaceIsCutBetweenCharacters) {
  for (const char* unit : {"\u00e9", "\u6f22", "\U0001F600"}) {
    const std::string line = "x" + too_long(unit);
    const Strings documents = documents_of(line);
    ASSERT_EQ(documents.size(), 2U);
    EXPECT_EQ(text::count_invalid_utf8(documents[0]) + text::count_invalid_utf8(documents[1]), 0);
    EXPECT_TRUE(documents[0].substr(0, documents[0].size() - 1) + documents[1] == line + "\n");
  }
}

TEST(LongText, ADocumentIsCutBetweenLines) {
  const std::string text = too_long("a line of text\n");
  const Strings documents = documents_of(text);
  ASSERT_EQ(documents.size(), 2U);
  EXPECT_GE(documents[0].size(), kLongestText);
  EXPECT_LE(documents[0].size(), kLongestText + 20);
  EXPECT_TRUE(documents[0] + documents[1] == text);
}

TEST(LongText, AJsonLineIsABadRecord) {
  const ScratchDirectory scratch;
  const auto file = scratch.write("text.jsonl", R"({"text": "one"})"
                                                "\n{\"text\": \"" +
                                                    too_long("ab ") +
                                                    "\"}\n"
                                                    R"({"text": "two"})"
                                                    "\n");
  const auto result = test::read_documents({file}, {.input = {.max_bad_records = 1}});
  EXPECT_EQ(result.documents, (Strings{"one\n", "two\n"}));
  EXPECT_EQ(result.summaries[0].bad_records, 1);
  const std::string message =
      message_of<DataError>([&] { test::read_documents({file}, {.input = {.max_bad_records = 0}}); });
  EXPECT_TRUE(contains(message, "text.jsonl:2: the line has more than 64.0 MiB")) << message;
}

TEST(LongText, ABlankEndOfALongJsonLineEndsItToo) {
  const ScratchDirectory scratch;
  const std::string line = "{" + std::string(kLongestText - 100, 'x') + std::string(1000, ' ') + "\n";
  const auto file = scratch.write("text.jsonl", "{\"text\": \"one\"}\n" + line + "{\"text\": \"two\"}\n");
  EXPECT_EQ(test::read_documents({file}).documents, (Strings{"one\n", "two\n"}));
}

}  // namespace
}  // namespace bertcram::data
