// How the lines of a file make documents: blocks, lines, JSON objects.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "bertcram/util/random.h"
#include "data/document_format.h"
#include "data/reading_support.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using config::TextFormat;
using nlohmann::json;
using test::contains;
using test::message_of;
using test::ReadResult;
using test::ScratchDirectory;
using Strings = std::vector<std::string>;

ReadResult read(const std::vector<std::filesystem::path>& files, const config::TextInputConfig& input = {},
                size_t batch_bytes = size_t{1} << 20) {
  return test::read_documents(files, {.input = input, .batch_bytes = batch_bytes});
}

ReadResult read_text(std::string_view text, const config::TextInputConfig& input = {}) {
  const ScratchDirectory scratch;
  return read({scratch.write("some", text)}, input);
}

TEST(TextFormat, LinesAreDocuments) {
  const auto result = read_text("one\n\n  \ntwo\r\nthree", {.format = TextFormat::kLines});
  EXPECT_EQ(result.documents, (Strings{"one\n", "two\n", "three\n"}));
  EXPECT_EQ(result.summaries[0].lines, 5);
}

TEST(TextFormat, JsonLinesAreToldByTheFirstObject) {
  const std::string text = "\n \n" + json({{"text", "one"}, {"id", 1}}).dump() + "\n" + json({{"text", "two"}}).dump();
  const auto result = read_text(text);
  EXPECT_EQ(result.documents, (Strings{"one\n", "two\n"}));
  EXPECT_EQ(result.summaries[0].format, "jsonl");
  for (const char* plain : {"{ is a brace\n", "text {\"text\": \"one\"}\n", "{\"text\": \"one\"} and more\n"}) {
    EXPECT_EQ(read_text(plain).documents, Strings{plain});
  }
  const std::string first = json({{"text", "one"}}).dump() + "\n";
  EXPECT_EQ(read_text(first, {.format = TextFormat::kBlocks}).documents, Strings{first});
}

TEST(TextFormat, AJsonArrayIsRefusedWithWhatConvertsIt) {
  const json array = json::parse(R"([{"text": "one"}, {"text": "two"}])");
  for (const std::string& text : {array.dump(), array.dump(2) + "\n", "\n\t" + array.dump(1),
                                  "\xEF\xBB\xBF" + array.dump(), std::string("[ {\r\n\"text\": \"cut")}) {
    for (const TextFormat format : {TextFormat::kAuto, TextFormat::kJsonl}) {
      const std::string message = message_of<DataError>([&] { read_text(text, {.format = format}); });
      EXPECT_TRUE(contains(message, "some: a JSON array; bertcram reads JSON lines (jq -c '.[]' ")) << text;
    }
    EXPECT_FALSE(read_text(text, {.format = TextFormat::kLines}).documents.empty()) << "who calls it text gets text";
  }
  for (const char* plain :
       {"[1, 2]\n", "[{1}] is a set\n", "[[\"a\"]]\n", "[\"{\"]\n", "[\n", "[ {", "see [{\"a\": 1}]\n"}) {
    EXPECT_EQ(read_text(plain).documents.size(), 1U) << plain;
  }
  const std::string lines = "{\"text\": \"a\"}\n{\"text\": \"b\"}\n";
  EXPECT_EQ(read_text("[{\"odd\": 1}]\n" + lines).documents.size(), 2U) << "one bad line among others";
}

// Found by review: what `jq .` makes of JSON lines was packed as prose, keys and braces too.
TEST(TextFormat, JsonObjectsOverSeveralLinesAreRefusedWithWhatJoinsThem) {
  const std::string first = json({{"text", "one"}, {"id", 1}}).dump(2) + "\n";
  const std::string second = json({{"text", "two"}, {"id", 2}}).dump(2) + "\n";
  for (const std::string& text :
       {first, first + second, "\n" + first + second, "\xEF\xBB\xBF" + first,
        json({{"a \"quoted\" key", {"one", "two"}}}).dump(4), std::string("{\r\n\t\"text\" :\r\n\"cut")}) {
    for (const TextFormat format : {TextFormat::kAuto, TextFormat::kJsonl}) {
      const std::string message = message_of<DataError>([&] { read_text(text, {.format = format}); });
      EXPECT_TRUE(contains(message, "some: a JSON object over several lines; bertcram reads JSON lines (jq -c . FILE"))
          << text;
    }
    EXPECT_FALSE(read_text(text, {.format = TextFormat::kBlocks}).documents.empty()) << "who calls it text gets text";
  }
  for (const char* plain : {"{\n", "{\n\"a\"", "{\n\"Yes\", she said.\n}\n", "{\n\"a\\\": 1\n", "{\nint a;\n}\n",
                            "{ \"a\":\n1 and more\n", "He: {\n\"a\": 1\n}\n"}) {
    EXPECT_EQ(read_text(plain).documents.size(), 1U) << plain;
  }
  const std::string line = json({{"text", "one"}}).dump() + "\n";
  EXPECT_EQ(read_text("{\n\"text\": \"broken\n" + line + line, {.max_bad_records = 2}).documents.size(), 2U)
      << "JSON lines with damage";
}

TEST(TextFormat, WhatIsHardlyUtf8IsRefusedButLatin1IsRead) {
  std::string cyrillic;
  std::string samples;
  std::string german;
  util::RandomStream random(2);
  for (int i = 0; i < 3000; ++i) {
    cyrillic += "\xCF\xF0\xE8\xE2\xE5\xF2 ";                  // Windows-1251
    samples += static_cast<char>(0x80 + random.below(0x80));  // no control byte among them
    samples += static_cast<char>(0x20 + random.below(0x5F));
    german +=
        "\xFC"
        "ber W\xF6lfe und was sonst ";  // 2 of 25 bytes
  }
  for (const std::string& bytes : {cyrillic, samples}) {
    const std::string message = message_of<DataError>([&] { read_text(bytes); });
    EXPECT_TRUE(contains(message, "some: not a text file, or in another encoding"));
    EXPECT_TRUE(contains(message, "iconv"));
  }
  EXPECT_EQ(read_text(german).documents.size(), 1U);
  EXPECT_EQ(read_text("\xE9t\xE9\n").documents.size(), 1U) << "half of its bytes, but only two";
}

TEST(TextFormat, AByteOrderMarkIsNoText) {
  EXPECT_EQ(read_text("\xEF\xBB\xBF{\"text\": \"one\"}\n").documents, Strings{"one\n"});
  EXPECT_EQ(read_text("\xEF\xBB\xBFone\n").documents, Strings{"one\n"});
}

TEST(TextFormat, ATextOfAJsonLineIsOneDocumentWhateverItHolds) {
  const std::string odd = "a\n\n\nb \"quoted\" \\ \u00e9 \U0001F600\t\r\nc";
  EXPECT_EQ(read_text(json({{"text", odd}}).dump() + "\n").documents, Strings{odd + "\n"});
  EXPECT_EQ(read_text(json({{"text", odd + "\n"}}).dump() + "\n").documents, Strings{odd + "\n"});
  EXPECT_EQ(read_text("{\"text\": \"\\u00e9\\ud83d\\ude00\"}\n").documents, Strings{"\u00e9\U0001F600\n"});
}

TEST(TextFormat, EmptyTextsAreNoDocuments) {
  EXPECT_EQ(read_text("{\"text\": \"\"}\n{\"text\": \" \\n \"}\n{\"text\": \"a\"}\n").documents, Strings{"a\n"});
}

TEST(TextFormat, NulAndInvalidUtf8InJsonAreCounted) {
  const auto result = read_text(
      "{\"text\": \"a\\u0000b\"}\n{\"text\": \"c\xff"
      "d\"}\n");
  EXPECT_EQ(result.documents, (Strings{"ab\n",
                                       "c\uFFFD"
                                       "d\n"}));
  EXPECT_EQ(result.summaries[0].nul_bytes, 1);
  EXPECT_EQ(result.summaries[0].invalid_utf8, 1);
}

TEST(TextFormat, AnotherFieldCanBeNamed) {
  const std::string text = json({{"text", "no"}, {"content", "yes"}}).dump() + "\n";
  EXPECT_EQ(read_text(text, {.text_field = "content"}).documents, Strings{"yes\n"});
}

TEST(TextFormat, BadRecordsAreCountedAndThenRefusedByFileAndLine) {
  const ScratchDirectory scratch;
  const std::string good = "{\"text\": \"good\"}\n";
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"{\"text\": \"cut", "no JSON"},         {"[1, 2]", "no JSON object"},
      {"{\"body\": \"x\"}", "has no 'text'"},  {"{\"text\": 3}", "that is no text"},
      {"{\"text\": null}", "that is no text"}, {"{\"text\": \"\\ud800\"}", "no JSON"}};
  for (const auto& [line, reason] : bad) {
    SCOPED_TRACE(line);
    const auto path = scratch.write("some.jsonl", good + good + line + "\n" + good);
    const auto result = read({path}, {.max_bad_records = 1});
    EXPECT_EQ(result.documents.size(), 3U);
    EXPECT_EQ(result.summaries[0].bad_records, 1);
    const std::string message = message_of<DataError>([&] { read({path}, {.max_bad_records = 0}); });
    EXPECT_TRUE(contains(message, "some.jsonl:3") && contains(message, reason)) << message;
    EXPECT_TRUE(contains(message, "--max-bad-records")) << message;
    const auto other = scratch.write("other.jsonl", good + line + "\n");
    EXPECT_TRUE(contains(message_of<DataError>([&] { read({path, other}, {.max_bad_records = 1}); }), "other.jsonl:2"));
  }
}

TEST(TextFormatProperty, BatchSizeMakesNoDifference) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const ScratchDirectory scratch;
  Strings expected;
  std::string text;
  for (int i = 0; i < 500; ++i) {
    std::string document;
    for (uint64_t words = random.below(40); words > 0; --words) {
      document += cat(random.below(3) == 0 ? "\n" : " ", "w", random.below(100));
    }
    text += json({{"id", i}, {"text", document}}).dump() + (random.below(5) == 0 ? "\r\n" : "\n");
    if (!document.empty()) {
      expected.push_back(document + "\n");
    }
  }
  const auto path = scratch.write("some", text);
  for (const size_t batch_bytes : {size_t{1}, size_t{100}, size_t{5000}, size_t{1} << 20}) {
    EXPECT_EQ(read({path}, {}, batch_bytes).documents, expected) << batch_bytes;
  }
}

TEST(DetectFormat, OneDamagedLineDoesNotMakeJsonLinesText) {
  using enum config::TextFormat;
  const std::string object = "{\"text\": \"a\"}\n";
  EXPECT_EQ(detect_format("{\"text\": \"broken\n" + object, Extent::kBeginning), kJsonl);
  EXPECT_EQ(detect_format("{\"text\": \"broken\n{}x\n" + object, Extent::kBeginning), kJsonl);
  EXPECT_EQ(detect_format("the end of a line\"}\n" + object + object, Extent::kBeginning), kJsonl);
  EXPECT_EQ(detect_format("{{Infobox\n| a = b\n}}\nText.\n", Extent::kBeginning), kBlocks);
  EXPECT_EQ(detect_format("An object looks so:\n" + object, Extent::kBeginning), kBlocks);
  EXPECT_EQ(detect_format("Objects look so:\n" + object + object + "That was all.\n", Extent::kBeginning), kBlocks);
}

TEST(DetectFormat, TheLastLineCountsWhereItIsWhole) {
  using enum config::TextFormat;
  const std::string object = "{\"text\": \"a\"}";
  EXPECT_EQ(detect_format("{Hello} world", Extent::kWhole), kBlocks);
  EXPECT_EQ(detect_format("{Hello} world", Extent::kBeginning), kJsonl) << "it may be a long object";
  EXPECT_EQ(detect_format(object, Extent::kWhole), kJsonl);
  EXPECT_EQ(detect_format("{broken\n" + object, Extent::kWhole), kJsonl);
  EXPECT_EQ(detect_format("Objects look so:\n" + object + "\n" + object + "\nso", Extent::kWhole), kBlocks);
  EXPECT_EQ(detect_format("", Extent::kWhole), kBlocks);
}

TEST(TextFormat, AMissingLastLineEndMakesNoDifference) {
  EXPECT_EQ(read_text("{Hello} world").documents, Strings{"{Hello} world\n"});
  EXPECT_EQ(read_text("{Hello} world").summaries[0].format, read_text("{Hello} world\n").summaries[0].format);
}

// What the first read gave was judged: here a line that is no object, or a part of it.
TEST(TextFormat, HowTheBytesArriveMakesNoDifference) {
  std::string text = "{{Infobox\n";
  for (int line = 0; line < 8; ++line) {
    text += json({{"text", cat("line ", line)}}).dump() + "\n";
  }
  const ReadResult whole = read_text(text);
  EXPECT_EQ(whole.summaries[0].format, "jsonl");
  const ScratchDirectory scratch;
  const auto pipe = scratch / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const size_t first : {size_t{1}, size_t{8}, size_t{10}, size_t{20}, text.size() - 1}) {
    std::thread writer([&] {
      std::ofstream out(pipe, std::ios::binary);
      out << text.substr(0, first) << std::flush;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      out << text.substr(first);
    });
    const ReadResult piped = read({pipe});
    writer.join();
    EXPECT_EQ(piped.documents, whole.documents) << first;
    EXPECT_EQ(piped.summaries[0].format, "jsonl") << first;
  }
}

}  // namespace
}  // namespace bertcram::data
