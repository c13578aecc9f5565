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

TEST(RewindMetrics, CutsWhatCameAfterTheCheckpoint) {
  const ScratchDirectory scratch;
  const auto path = scratch / "metrics.jsonl";
  MetricsLog log(path);
  EXPECT_EQ(log.size_bytes(), 0);
  log.write({{"step", 1}});
  const int64_t saved = log.size_bytes();
  log.write({{"step", 2}});
  rewind_metrics(path, saved);
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n");
  log.write({{"step", 3}});  // appended behind the cut
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n{\"step\":3}\n");
}

TEST(RewindMetrics, LeavesAShorterFileAlone) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("metrics.jsonl", "{\"step\":1}\n");
  rewind_metrics(path, 500);
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n");
}

TEST(RewindMetrics, AMissingFileIsFine) {
  const ScratchDirectory scratch;
  rewind_metrics(scratch / "metrics.jsonl", 3);
  EXPECT_FALSE(std::filesystem::exists(scratch / "metrics.jsonl"));
}

}  // namespace
}  // namespace bertcram::monitor
