// Parquet files: one document per row of the text column, whatever the file looks like inside; damage is refused.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "bertcram/util/hash.h"
#include "bertcram/util/random.h"
#include "data/parquet_source.h"
#include "data/parquet_writing.h"
#include "data/reading_support.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using test::contains;
using test::message_of;
using test::ParquetFile;
using test::ReadResult;
using test::ScratchDirectory;
using Strings = std::vector<std::string>;
using Texts = std::vector<std::optional<std::string>>;

class Parquet : public ::testing::Test {
 protected:
  void SetUp() override {
#ifndef BERTCRAM_WITH_PARQUET
    GTEST_SKIP() << "this build has no Parquet: Arrow C++ was not found when it was configured";
#endif
  }

#ifdef BERTCRAM_WITH_PARQUET
  std::filesystem::path write(const ParquetFile& file) const { return test::write_parquet(scratch / "a.dat", file); }
#else
  std::filesystem::path write(const ParquetFile&) const { return {}; }
#endif

  ReadResult read(const std::filesystem::path& path, const ReaderOptions& options = {}) const {
    return test::read_documents({path}, options);
  }
  std::string refusal(const std::filesystem::path& path, const ReaderOptions& options = {}) const {
    const std::string message = message_of<DataError>([&] { read(path, options); });
    EXPECT_TRUE(contains(message, path.string()));
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }

  const ScratchDirectory scratch;
};
class ParquetProperty : public Parquet {};
class ParquetFormat : public Parquet {};

/// Of random lengths, some of them null, some repeated: so that dictionaries and pages of all sizes come about.
Texts random_texts(util::RandomStream& random, int count) {
  Texts texts;
  for (int i = 0; i < count; ++i) {
    if (random.below(20) == 0) {
      texts.emplace_back(std::nullopt);
    } else if (random.below(5) == 0) {
      texts.emplace_back(cat("often ", random.below(7)));
    } else {
      texts.emplace_back(cat("text ", i, " ", std::string(random.below(400), 'x')));
    }
  }
  return texts;
}

Strings documents_of(const Texts& texts) {
  Strings documents;
  for (const auto& text : texts) {
    if (text) {
      documents.push_back(*text + "\n");
    }
  }
  return documents;
}

TEST_F(Parquet, IsToldByContentAndEachRowIsADocument) {
  const auto path = write({.texts = {"one", "two\n\nlines\n", "", "  ", "three"}});
  const auto result = read(path);
  EXPECT_EQ(result.documents, (Strings{"one\n", "two\n\nlines\n", "three\n"}));
  const SourceSummary& summary = result.summaries.at(0);
  EXPECT_EQ(summary.format, "parquet");
  EXPECT_EQ(summary.lines, 5);
  EXPECT_EQ(summary.documents, 3);
  EXPECT_EQ(summary.text_bytes, 21);
  EXPECT_EQ(summary.file_bytes, static_cast<int64_t>(std::filesystem::file_size(path)));
  EXPECT_EQ(summary.hash, util::hash_file(path).hex());
  EXPECT_TRUE(summary.is_complete);
}

TEST_F(Parquet, AnotherColumnCanBeNamed) {
  const auto path = write({.texts = {"one"}, .column = "content"});
  EXPECT_EQ(read(path, {.input = {.text_field = "content"}}).documents, Strings{"one\n"});
  EXPECT_EQ(read(path, {.input = {.text_field = "url"}}).documents, Strings{"https://example.org\n"});
  EXPECT_TRUE(contains(refusal(path), "no column 'text'; its columns are: id, content, url. --text-field"));
}

TEST_F(Parquet, AColumnOfBytesMayBeText) {
  EXPECT_EQ(read(write({.texts = {"one"}, .kind = test::ColumnKind::kBytes})).documents, Strings{"one\n"});
}

TEST_F(Parquet, AColumnThatHoldsNoTextsIsRefused) {
  for (const auto kind : {test::ColumnKind::kNumber, test::ColumnKind::kDecimal, test::ColumnKind::kRepeatedText}) {
    EXPECT_TRUE(contains(refusal(write({.texts = {"one"}, .kind = kind})), "'text' holds no texts"));
  }
}

TEST_F(Parquet, NullsAreBadRecords) {
  const auto path = write({.texts = {"one", std::nullopt, "two", std::nullopt}});
  const auto result = read(path);
  EXPECT_EQ(result.documents, (Strings{"one\n", "two\n"}));
  EXPECT_EQ(result.summaries[0].bad_records, 2);
  const std::string message = refusal(path, {.input = {.max_bad_records = 1}});
  EXPECT_TRUE(contains(message, "row 4") && contains(message, "--max-bad-records"));
}

TEST_F(Parquet, NulBytesAreDroppedAndCountedAndTheRestOfTheBytesIsKept) {
  using namespace std::string_literals;
  const auto result = read(write({.texts = {"a\0b\0"s, "\0"s, "bad \xFF end"}}));
  EXPECT_EQ(result.documents, (Strings{"ab\n", "bad \xFF end\n"}));
  EXPECT_EQ(result.summaries[0].nul_bytes, 3);
}

TEST_F(Parquet, AFileWithoutRowsHoldsNoText) { EXPECT_TRUE(read(write({})).documents.empty()); }

TEST_F(Parquet, MayStandAmongTexts) {
  const auto path = write({.texts = {"two"}});
  const auto result = test::read_documents({scratch.write("a.txt", "one"), path, scratch.write("c.txt", "three")});
  EXPECT_EQ(result.documents, (Strings{"one\n", "two\n", "three\n"}));
}

TEST_F(Parquet, CannotBePipedOrCompressedAsAWhole) {
  // Standard input and compressed files come as bytes without an end to look at.
  const std::string bytes = test::read_bytes(write({.texts = {"one"}}));
  const auto path = scratch / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(path, std::ios::binary) << bytes; });
  const std::string message = refusal(path);
  writer.join();
  EXPECT_TRUE(contains(message, "neither piped nor compressed"));
}

TEST(ParquetAbsent, IsSaidWithWhatToDo) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("some.dat", "PAR1\x15 and more");
  EXPECT_TRUE(is_parquet_file(path));
  const std::string message =
      message_of<DataError>([&] { open_parquet_column(path, "text", "libbertcram_absent.so"); });
  EXPECT_TRUE(contains(message, "some.dat: Parquet: this bertcram was built without it"));
  EXPECT_TRUE(contains(message, "./scripts/setup.sh"));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(ParquetAbsent, ATextThatBeginsLikeItIsText) {
  const ScratchDirectory scratch;
  for (const char* text : {"PAR1 is a magic number\n", "PAR1\nis one\n", "PAR\n"}) {
    EXPECT_EQ(test::read_documents({scratch.write("a.parquet", text)}).documents, Strings{text});
  }
}

TEST_F(ParquetProperty, TheInsideOfTheFileMakesNoDifference) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const Texts texts = random_texts(random, 3000);
  const Strings expected = documents_of(texts);
  const ReaderOptions options = {.input = {.max_bad_records = 3000}, .batch_bytes = 5000};
  ParquetFile file = {.texts = texts};
  EXPECT_EQ(read(write(file), options).documents, expected);
  for (int round = 0; round < 24; ++round) {
    file.rows_per_group = static_cast<int64_t>(1 + random.below(random.below(2) == 0 ? 50 : 5000));
    file.page_bytes = static_cast<int64_t>(100 + random.below(50'000));
    file.compression = static_cast<test::Compression>(random.below(3));
    file.has_dictionary = random.below(2) == 0;
    file.has_checksums = random.below(2) == 0;
    file.data_page_version = 1 + static_cast<int>(random.below(2));
    const auto result = read(write(file), options);
    EXPECT_EQ(result.documents, expected) << round;
    EXPECT_EQ(result.summaries[0].lines, 3000);
  }
}

TEST_F(ParquetProperty, AColumnThatMayNotBeNullReadsAlike) {
  const ParquetFile file = {.texts = {"one", "two", "three"}, .may_be_null = false};
  EXPECT_EQ(read(write(file)).documents, documents_of(file.texts));
}

TEST_F(ParquetFormat, ATruncatedFileIsRefusedAtEveryLength) {
  const std::string whole = test::read_bytes(write({.texts = Texts(40, "some text of a document")}));
  for (size_t length = 5; length < whole.size(); length += 1 + length / 40) {
    const std::string message = refusal(scratch.write("cut.parquet", whole.substr(0, length)));
    EXPECT_TRUE(contains(message, "cut.parquet: Parquet: ")) << length;
  }
  EXPECT_TRUE(contains(refusal(scratch.write("magic.parquet", "PAR1")), "Parquet"));
}

TEST_F(ParquetFormat, AFileWithFlippedBytesIsReadOrRefused) {
  util::RandomStream random(4);
  for (const bool has_checksums : {true, false}) {
    const std::string whole = test::read_bytes(
        write({.texts = random_texts(random, 200), .rows_per_group = 70, .has_checksums = has_checksums}));
    int refused = 0;
    for (int round = 0; round < 400; ++round) {
      std::string damaged = whole;
      damaged[5 + random.below(damaged.size() - 5)] ^= static_cast<char>(1 + random.below(255));
      try {
        read(scratch.write("flipped", damaged));
      } catch (const DataError&) {  // anything else would fail the test
        ++refused;
      }
    }
    EXPECT_GT(refused, 20);
  }
}

}  // namespace
}  // namespace bertcram::data
