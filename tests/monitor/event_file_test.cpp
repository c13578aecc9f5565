// Event files, byte by byte; that tensorboard reads them is tests/e2e/test_interop_events.py.

#include "bertcram/monitor/event_file.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "util/test_support.h"

namespace bertcram::monitor {
namespace {

using test::ScratchDirectory;

std::span<const char> bytes_of(std::string_view text) { return {text.data(), text.size()}; }

template <class Number>
Number number_at(const std::string& bytes, size_t place) {
  Number value{};
  std::memcpy(&value, bytes.data() + place, sizeof value);
  return value;
}

/// The payloads of a TFRecord file; the checksums are checked.
std::vector<std::string> records_of(const std::filesystem::path& path) {
  const auto masked = [](uint32_t crc) { return (crc >> 15U | crc << 17U) + 0xa282ead8U; };
  const std::string bytes = test::read_bytes(path);
  std::vector<std::string> records;
  for (size_t place = 0; place < bytes.size();) {
    const auto length = static_cast<size_t>(number_at<uint64_t>(bytes, place));
    EXPECT_EQ(number_at<uint32_t>(bytes, place + 8), masked(crc32c(bytes_of(bytes.substr(place, 8)))));
    records.push_back(bytes.substr(place + 12, length));
    EXPECT_EQ(number_at<uint32_t>(bytes, place + 12 + length), masked(crc32c(bytes_of(records.back()))));
    place += 16 + length;
  }
  return records;
}

TEST(Crc32c, GivesTheValuesOfRfc3720) {
  EXPECT_EQ(crc32c(bytes_of("")), 0U);
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xe3069283U);
  EXPECT_EQ(crc32c(bytes_of(std::string(32, '\0'))), 0x8a9136aaU);
  EXPECT_EQ(crc32c(bytes_of(std::string(32, '\xff'))), 0x62a8ab43U);
}

TEST(EventFile, HoldsAVersionAndOneEventForEachLine) {
  const ScratchDirectory scratch;
  EventFile events(scratch.path(), 1);
  events.scalars({{"step", 300}, {"loss", 2.5}, {"mfu", nullptr}, {"note", "text"}});
  events.scalars({{"seed", 7}});
  events.scalars({{"event", "start"}, {"step", 0}, {"seed", 7}});
  const auto records = records_of(events.path());
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0].substr(9), std::string("\x10\x00\x1a\x0d", 4) + "brain.Event:2");
  // step 300 as a varint; a summary of 19 bytes with one value of 17: the tag, and 2.5 as a float
  EXPECT_EQ(records[2].substr(9),
            std::string("\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0atrain/loss\x15\x00\x00\x20\x40", 24));
}

TEST(EventFile, SaysWhereItsSessionBegins) {
  const ScratchDirectory scratch;
  const EventFile first(scratch.path(), 1);
  const EventFile second(scratch.path(), 8);
  EXPECT_NE(first.path(), second.path());
  EXPECT_EQ(records_of(first.path()).at(1).substr(9), std::string("\x10\x01\x3a\x02\x08\x01", 6));
  const auto records = records_of(second.path());
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].substr(9), std::string("\x10\x08\x3a\x02\x08\x01", 6));
}

TEST(EventFile, HoldsHistograms) {
  const ScratchDirectory scratch;
  EventFile events(scratch.path(), 1);
  Histogram sum = {
      .smallest = 1, .largest = 2, .count = 1, .sum = 2, .sum_of_squares = 4, .limits = {0, 2}, .counts = {0, 1}};
  sum.add(
      {.smallest = -1, .largest = 0, .count = 2, .sum = -1, .sum_of_squares = 1, .limits = {0, 2}, .counts = {2, 0}});
  events.histogram("h", 3, sum);
  const std::string record = records_of(events.path()).at(2);
  // a summary of 88 bytes, a value of 86: the tag, a histogram of 5 · 9 + 2 · 18 bytes
  const std::string head("\x10\x03\x2a\x58\x0a\x56\x0a\x01h\x2a\x51", 11);
  EXPECT_EQ(record.substr(9, 11), head);
  for (const auto& [place, value] : std::vector<std::pair<size_t, double>>{
           {21, -1}, {30, 2}, {39, 3}, {48, 1}, {57, 5}, {67, 0}, {75, 2}, {85, 2}, {93, 1}}) {
    EXPECT_EQ(number_at<double>(record, place), value) << place;
  }
}

TEST(EventFile, APlaceThatCannotBeWrittenIsNoError) {
  EventFile events("/proc/none", 1);
  EXPECT_NO_THROW(events.scalars({{"step", 1}, {"loss", 1.0}}));
}

TEST(ScalarTag, TellsTrainingFromEvaluation) {
  EXPECT_EQ(scalar_tag("grad_norm", false), "train/grad_norm");
  EXPECT_EQ(scalar_tag("eval_loss", true), "eval/loss");
  EXPECT_EQ(scalar_tag("tokens", true), "eval/tokens");
}

}  // namespace
}  // namespace bertcram::monitor
