// metrics.jsonl: a line at a time, and a resumed run takes back what it will write again.

#include "bertcram/monitor/metrics_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "util/test_support.h"

namespace bertcram::monitor {
namespace {

using test::read_bytes;
using test::ScratchDirectory;

TEST(MetricsLog, AppendsOneLineEach) {
  const ScratchDirectory scratch;
  const auto path = scratch / "metrics.jsonl";
  {
    MetricsLog log(path);
    log.write({{"step", 1}});
    EXPECT_EQ(read_bytes(path), "{\"step\":1}\n");  // there at once, not at the end
    log.write({{"step", 2}, {"text", "two\nlines"}});
  }
  MetricsLog(path).write({{"step", 3}});
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n{\"step\":2,\"text\":\"two\\nlines\"}\n{\"step\":3}\n");
}

TEST(MetricsLog, WritesTextThatIsNoUtf8AndNumbersThatAreNone) {
  const ScratchDirectory scratch;
  const auto path = scratch / "metrics.jsonl";
  MetricsLog(path).write({{"path", "a\xFF"}, {"loss", std::numeric_limits<double>::quiet_NaN()}});
  EXPECT_EQ(read_bytes(path), "{\"loss\":null,\"path\":\"a\xEF\xBF\xBD\"}\n");
}

TEST(MetricsLog, APlaceThatCannotBeWrittenIsAResourceError) {
  EXPECT_THROW(MetricsLog("/proc/none/metrics.jsonl"), ResourceError);
  MetricsLog full("/dev/full");
  EXPECT_THROW(full.write({{"step", 1}}), ResourceError);
}

TEST(RewindMetrics, DropsLaterStepsAndACutLastLine) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("metrics.jsonl",
                                  "{\"event\":\"start\",\"step\":0}\n{\"step\":1}\n{\"step\":2,\"eval_loss\":3}\n"
                                  "{\"step\":3}\n{\"step\":4,\"lo");
  rewind_metrics(path, 2);
  EXPECT_EQ(read_bytes(path), "{\"event\":\"start\",\"step\":0}\n{\"step\":1}\n{\"step\":2,\"eval_loss\":3}\n");
}

TEST(RewindMetrics, KeepsAWholeLastLineWithoutItsLineEnd) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("metrics.jsonl", "{\"step\":1}\n{\"step\":2}");
  rewind_metrics(path, 5);
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n{\"step\":2}\n");
}

TEST(RewindMetrics, ToBeforeTheStartLeavesNothing) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("metrics.jsonl", "{\"event\":\"start\",\"step\":0}\n{\"step\":1}\n");
  rewind_metrics(path, -1);
  EXPECT_EQ(read_bytes(path), "");
}

TEST(RewindMetrics, AMissingFileIsFine) {
  const ScratchDirectory scratch;
  rewind_metrics(scratch / "metrics.jsonl", 3);
  EXPECT_FALSE(std::filesystem::exists(scratch / "metrics.jsonl"));
}

// A log that somebody edited, or a disk that lost bytes: the line goes, the run does not.
TEST(RewindMetrics, DropsLinesThatAreNoMetrics) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("metrics.jsonl", "hello\n{\"step\":1}\n[1]\n{\"step\":\"x\"}\n\n{\"step\":2}\n");
  rewind_metrics(path, 9);
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n{\"step\":2}\n");
}

}  // namespace
}  // namespace bertcram::monitor
