// Documents come out the same however the text is stored: line ends, compression, batch size.

#include "bertcram/data/document_reader.h"

#include <gtest/gtest.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <memory>

#include "bertcram/data/byte_source.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/random.h"
#include "data/decompressor.h"
#include "data/reading_support.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using test::contains;
using test::message_of;
using test::ReadResult;
using test::ScratchDirectory;
using Strings = std::vector<std::string>;

ReadResult read_all(std::vector<std::filesystem::path> files, size_t batch_bytes = size_t{1} << 20) {
  return test::read_documents(std::move(files), {.batch_bytes = batch_bytes});
}

Strings documents_of(std::string_view text) {
  const ScratchDirectory scratch;
  return read_all({scratch.write("some.txt", text)}).documents;
}

std::string zstd(std::string_view text) {
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), text.data(), text.size(), 3));
  return frame;
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string member(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(member.data());
  stream.avail_out = static_cast<uInt>(member.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  member.resize(stream.total_out);
  deflateEnd(&stream);
  return member;
}

std::string xz(std::string_view text) {
  std::string stream(lzma_stream_buffer_bound(text.size()), '\0');
  size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t*>(text.data()),
                                    text.size(), reinterpret_cast<uint8_t*>(stream.data()), &size, stream.size()),
            LZMA_OK);
  stream.resize(size);
  return stream;
}

struct Codec {
  const char* name;
  std::string (*compress)(std::string_view);
};

constexpr std::array<Codec, 3> kCodecs = {{{"gzip", gzip}, {"xz", xz}, {"zstd", zstd}}};
const auto kNames = [](const auto& info) { return info.param.name; };

class CompressionProperty : public ::testing::TestWithParam<Codec> {};
INSTANTIATE_TEST_SUITE_P(Codecs, CompressionProperty, ::testing::ValuesIn(kCodecs), kNames);

class CompressionFormat : public ::testing::TestWithParam<Codec> {};
INSTANTIATE_TEST_SUITE_P(Codecs, CompressionFormat, ::testing::ValuesIn(kCodecs), kNames);

/// Blocks of lines that hold words, with one to three blank lines in between.
std::string random_text(util::RandomStream& random, int documents) {
  std::string text;
  for (int i = 0; i < documents; ++i) {
    for (uint64_t lines = 1 + random.below(4); lines > 0; --lines) {
      for (uint64_t words = 1 + random.below(12); words > 0; --words) {
        text += cat("w", random.below(1000), " ");
      }
      text += "\n";
    }
    text += std::string(1 + random.below(3), '\n');
  }
  return text;
}

TEST(DocumentReader, BlankLinesSeparateDocuments) {
  EXPECT_EQ(documents_of("one\ntwo\n\nthree\n\n\n\nfour\n"), (Strings{"one\ntwo\n", "three\n", "four\n"}));
  EXPECT_EQ(documents_of("\n\n\none\n\n"), (Strings{"one\n"}));
}

TEST(DocumentReader, LinesOfWhiteSpaceAreBlank) {
  EXPECT_EQ(documents_of("one\n \t \ntwo\n\f\n"), (Strings{"one\n", "two\n"}));
  EXPECT_EQ(documents_of("one\n   "), (Strings{"one\n"}));
  EXPECT_EQ(documents_of("one\n\n   "), (Strings{"one\n"}));
}

// A document must not depend on whether it stands at the end of its file: deduplication and order look at its bytes.
TEST(DocumentReader, AMissingLastLineEndMakesNoDifference) {
  EXPECT_EQ(documents_of("one\n\ntwo"), (Strings{"one\n", "two\n"}));
  EXPECT_EQ(documents_of("one"), (Strings{"one\n"}));
}

TEST(DocumentReader, LineEndsOfWindowsMakeNoDifference) {
  EXPECT_EQ(documents_of("one\r\ntwo\r\n\r\nthree\r\n"), documents_of("one\ntwo\n\nthree\n"));
  EXPECT_EQ(documents_of("one\r\n\r\ntwo\r"), documents_of("one\n\ntwo\n"));
}

TEST(DocumentReader, FilesEndDocuments) {
  const ScratchDirectory scratch;
  const auto result = read_all({scratch.write("a", "one"), scratch.write("b", "two\n"), scratch.write("c", "three")});
  EXPECT_EQ(result.documents, (Strings{"one\n", "two\n", "three\n"}));
  ASSERT_EQ(result.summaries.size(), 3U);
  EXPECT_EQ(result.summaries[1].documents, 1);
}

TEST(DocumentReader, EmptyFilesGiveNothing) {
  EXPECT_TRUE(documents_of("").empty());
  EXPECT_TRUE(documents_of("\n \n\n").empty());
  EXPECT_TRUE(read_all({}).documents.empty());
}

TEST(DocumentReader, ALineOf5MegabytesStaysWhole) {
  const std::string line(5'000'000, 'x');
  const Strings documents = documents_of("one\n\n" + line + "\n\ntwo\n");
  ASSERT_EQ(documents.size(), 3U);
  EXPECT_TRUE(documents[1] == line + "\n");  // not EXPECT_EQ, which would print it
}

TEST(DocumentReader, NulBytesAreDroppedAndCounted) {
  const ScratchDirectory scratch;
  using namespace std::string_view_literals;
  const auto result = read_all({scratch.write("a", "a line\0 of words that are long enough\0\n\n\0\n\nand more\n"sv)});
  EXPECT_EQ(result.documents, (Strings{"a line of words that are long enough\n", "and more\n"}));
  ASSERT_EQ(result.summaries.size(), 1U);
  EXPECT_EQ(result.summaries[0].nul_bytes, 3);
  EXPECT_EQ(result.summaries[0].file_bytes, 52);
  EXPECT_EQ(result.summaries[0].hash, util::hash_file(scratch / "a").hex());
}

TEST(DocumentReader, BinaryIsRefused) {
  const ScratchDirectory scratch;
  std::string bytes;
  util::RandomStream random(1);
  for (int i = 0; i < 5000; ++i) {
    bytes += static_cast<char>(random.below(200));  // 14 % control bytes
  }
  const auto path = scratch.write("image.png", bytes);
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_all({path}); }), "not a text file"));
  // Found by this test: only the first four bytes were looked at.
  EXPECT_THROW(read_all({scratch.write("late", "text" + std::string(1000, '\x01'))}), DataError);
  EXPECT_NO_THROW(read_all({scratch.write("early", "\x01" + std::string(1000, 'x') + "\n")}));
  EXPECT_THROW(read_all({scratch.write("zeros", std::string(1000, '\0'))}), DataError);
}

/// The header of one member in the format of POSIX, and its content.
std::string tar(const std::string& content) {
  std::string header(512, '\0');
  header.replace(0, 8, "text.txt");
  header.replace(257, 8, std::string_view("ustar\00000", 8));
  std::string padded = content;
  padded.resize((content.size() + 511) / 512 * 512);
  return header + padded;
}

TEST(DocumentReader, ATarArchiveIsRefusedByItsName) {
  const ScratchDirectory scratch;
  const std::string archive = tar(std::string(100'000, 'x'));  // too few NUL bytes to be seen by them
  for (const std::string& content : {archive, gzip(archive), zstd(archive)}) {
    const auto path = scratch.write("some.tar", content);
    EXPECT_TRUE(contains(message_of<DataError>([&] { read_all({path}); }), "some.tar: a tar archive; unpack it"));
  }
}

TEST(DocumentReader, MissingFilesAndFoldersAreRefused) {
  const ScratchDirectory scratch;
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_all({scratch / "none"}); }), "none"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_all({scratch.path()}); }), "folder"));
}

// Found end to end: a second thread read the same bad line again, and now and then its error was the one that was told.
TEST(DocumentReader, AfterAnErrorThereIsNothingMore) {
  const ScratchDirectory scratch;
  DocumentReader reader({scratch.write("a.jsonl", "{\"text\": \"one\"}\nno json\n"), scratch.write("b", "two")},
                        {.input = {.max_bad_records = 0}});
  EXPECT_THROW(reader.next(), DataError);
  EXPECT_FALSE(reader.next().has_value());
  EXPECT_FALSE(reader.next().has_value());
}

TEST(DocumentReaderProperty, BatchSizeMakesNoDifference) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const ScratchDirectory scratch;
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < 4; ++i) {
    files.push_back(scratch.write(cat("part", i), random_text(random, 200)));
  }
  const auto expected = read_all(files);
  EXPECT_EQ(expected.documents.size(), 800U);
  for (const size_t batch_bytes : {size_t{1}, size_t{2}, size_t{100}, size_t{5000}, size_t{1} << 30}) {
    const auto result = read_all(files, batch_bytes);
    EXPECT_EQ(result.documents, expected.documents) << batch_bytes;
    ASSERT_EQ(result.summaries.size(), files.size());
    EXPECT_EQ(result.summaries[3].hash, expected.summaries[3].hash);
  }
}

TEST_P(CompressionProperty, MakesNoDifference) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  const auto compress = GetParam().compress;
  util::RandomStream random(seed);
  const ScratchDirectory scratch;
  const std::string text = random_text(random, 5000);
  const auto plain = read_all({scratch.write("plain", text)});
  const size_t middle = text.size() / 2;
  const std::string two_members = compress(text.substr(0, middle)) + compress(text.substr(middle));
  const std::string with_an_empty_one = compress("") + two_members + compress("");
  EXPECT_EQ(read_all({scratch.write("one", compress(text))}).documents, plain.documents);
  EXPECT_EQ(read_all({scratch.write("three", with_an_empty_one)}).documents, plain.documents);
  EXPECT_EQ(read_all({scratch.write("padded", two_members + std::string(512, '\0'))}).documents, plain.documents);
  const auto result = read_all({scratch.write("two", two_members)});
  EXPECT_EQ(result.documents, plain.documents);
  EXPECT_EQ(result.summaries[0].text_bytes, static_cast<int64_t>(text.size()));
  EXPECT_EQ(result.summaries[0].file_bytes, static_cast<int64_t>(two_members.size()));
}

/// The decoder is asked for less than it has ready, in every phase of a block.
TEST_P(CompressionProperty, TheSizeOfTheReadsMakesNoDifference) {
  util::RandomStream random(5);
  const ScratchDirectory scratch;
  const std::string text = random_text(random, 400) + std::string(300'000, 'x');
  const auto path = scratch.write("text", GetParam().compress(text));
  for (const size_t size : {size_t{1}, size_t{7}, size_t{4096}, size_t{1} << 20}) {
    const auto source = open_byte_source(path);
    std::string got;
    std::vector<char> buffer(size);
    while (const size_t count = source->read(buffer)) {
      got.append(buffer.data(), count);
    }
    EXPECT_TRUE(got == text) << size;
  }
}

/// The program zstd refuses windows above 128 MB unless asked for them; here none has to be.
TEST(ZstdFormat, LongWindowsAreRead) {
  constexpr int kWindowLog = 28;
  util::RandomStream random(6);
  const ScratchDirectory scratch;
  const std::string text = random_text(random, 300);
  const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_enableLongDistanceMatching, 1);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, kWindowLog);
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  ZSTD_outBuffer out = {frame.data(), frame.size(), 0};
  ZSTD_inBuffer first = {text.data(), text.size() / 2, 0};  // in pieces: a frame of unknown size keeps its whole window
  ZSTD_inBuffer second = {text.data() + text.size() / 2, text.size() - text.size() / 2, 0};
  ASSERT_EQ(ZSTD_isError(ZSTD_compressStream2(context.get(), &out, &first, ZSTD_e_continue)), 0U);
  ASSERT_EQ(ZSTD_compressStream2(context.get(), &out, &second, ZSTD_e_end), 0U);
  frame.resize(out.pos);
  const auto result = read_all({scratch.write("long.zst", frame)});
  EXPECT_EQ(result.documents, documents_of(text));
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> usual(ZSTD_createDCtx(), ZSTD_freeDCtx);
  std::string room(text.size(), '\0');
  ZSTD_outBuffer to = {room.data(), room.size(), 0};
  ZSTD_inBuffer from = {frame.data(), frame.size(), 0};
  EXPECT_NE(ZSTD_isError(ZSTD_decompressStream(usual.get(), &to, &from)), 0U) << "the window is not long";
}

TEST_P(CompressionFormat, ATruncatedFileIsRefusedAtEveryLength) {
  util::RandomStream random(3);
  const ScratchDirectory scratch;
  const std::string whole = GetParam().compress(random_text(random, 40));
  for (size_t length = kCompressionMagicBytes; length < whole.size(); length += 1 + length / 40) {
    const auto path = scratch.write("cut", whole.substr(0, length));
    const std::string message = message_of<DataError>([&] { read_all({path}); });
    EXPECT_TRUE(contains(message, "cut") && contains(message, "truncated")) << length << ": " << message;
  }
}

TEST_P(CompressionFormat, WhatFollowsTheLastMemberIsRefused) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("longer", GetParam().compress("some text\n") + "and something else");
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_all({path}); }), "damaged"));
}

TEST_P(CompressionFormat, AFileWithFlippedBytesIsReadOrRefused) {
  util::RandomStream random(4);
  const ScratchDirectory scratch;
  const std::string whole = GetParam().compress(random_text(random, 40));
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string damaged = whole;
    damaged[random.below(damaged.size())] ^= static_cast<char>(1 + random.below(255));
    const auto path = scratch.write("flipped", damaged);
    try {
      read_all({path});
    } catch (const DataError&) {  // anything else would fail the test
      ++refused;
    }
  }
  EXPECT_GT(refused, 150);
}

/// Reads up to `batches` batches, then the rest with a second reader that starts where the first one is.
ReadResult read_in_two(const std::vector<std::filesystem::path>& files, ReaderOptions options, int batches) {
  DocumentReader first(files, options);
  ReadResult result = test::read_documents(first, batches);
  options.start = {.finished = first.summaries(), .documents = first.documents_of_open_file()};
  options.batch_bytes = options.batch_bytes / 2 + 1;
  const ReadResult rest = test::read_documents(files, options);
  result.documents.insert(result.documents.end(), rest.documents.begin(), rest.documents.end());
  result.summaries = rest.summaries;
  return result;
}

TEST(ReaderResume, ASecondReaderGoesOnWhereverTheFirstStopped) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const ScratchDirectory scratch;
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < 4; ++i) {
    const std::string text = random_text(random, i == 1 ? 0 : 25);
    files.push_back(scratch.write(cat("text", i), i == 2 ? zstd(text) : text));
  }
  files.push_back(scratch.write("lines", "{\"text\": \"one\"}\n{}\n{\"text\": \"two\"}\n{\"text\": \"three\"}\n"));
  const ReaderOptions options = {.batch_bytes = 300};
  const ReadResult whole = test::read_documents(files, options);
  ASSERT_GT(whole.documents.size(), 70U);
  for (int batches = 0; batches < 40; ++batches) {
    const ReadResult parts = read_in_two(files, options, batches);
    EXPECT_EQ(parts.documents, whole.documents) << batches;
    ASSERT_EQ(parts.summaries.size(), whole.summaries.size());
    for (size_t i = 0; i < parts.summaries.size(); ++i) {
      EXPECT_EQ(parts.summaries[i].hash, whole.summaries[i].hash) << batches;
      EXPECT_EQ(parts.summaries[i].documents, whole.summaries[i].documents) << batches;
      EXPECT_EQ(parts.summaries[i].bad_records, whole.summaries[i].bad_records) << batches;
    }
  }
}

TEST(ReaderResume, WhatIsReadOnlyToBeSkippedIsNoProgress) {
  const ScratchDirectory scratch;
  util::RandomStream random(8);
  const auto path = scratch.write("text", random_text(random, 10'000));
  ReaderOptions options = {.batch_bytes = 1000};
  DocumentReader first({path}, options);
  test::read_documents(first, 100);
  options.start = {.finished = {}, .documents = first.documents_of_open_file()};
  DocumentReader second({path}, options);
  const auto batch = second.next();
  ASSERT_TRUE(batch.has_value());
  EXPECT_GE(batch->known_bytes, 100 * 1000);
  EXPECT_LT(batch->source_bytes, batch->known_bytes);
}

TEST(ReaderResume, BadRecordsOfAllSessionsCount) {
  const ScratchDirectory scratch;
  const std::vector<std::filesystem::path> files = {scratch.write("a", "{\"text\": \"one\"}\n{}\n"),
                                                    scratch.write("b", "{\"text\": \"two\"}\n{}\n")};
  ReaderOptions options = {.batch_bytes = 1};
  options.input.max_bad_records = 1;
  const auto message = message_of<DataError>([&] { read_in_two(files, options, 2); });
  EXPECT_TRUE(contains(message, "b:2: the line has no 'text'; it is bad record number 2"));
}

}  // namespace
}  // namespace bertcram::data
