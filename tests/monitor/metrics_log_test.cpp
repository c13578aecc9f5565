// metrics.jsonl: a line at a time, and a resumed run takes back what it will write again.

#include "bertcram/monitor/metrics_log.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
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
}

TEST(MetricsLog, KeepsTheLinesForWhichThereIsNoRoomUntilThereIs) {
  const ScratchDirectory scratch;
  const auto path = scratch / "metrics.jsonl";
  MetricsLog log(path);
  log.write({{"step", 1}});
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight = {.rlim_cur = 15, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  log.write({{"step", 2}});  // four of its bytes would fit
  log.write({{"step", 3}});
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n");
  EXPECT_EQ(log.size_bytes(), 11);
  log.write({{"step", 4}});
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":4}\n");
}

TEST(MetricsLog, KnowsThatItsFileIsGone) {
  const ScratchDirectory scratch;
  const auto path = scratch / "metrics.jsonl";
  MetricsLog log(path);
  log.write({{"step", 1}});
  EXPECT_FALSE(log.is_gone());
  std::filesystem::rename(path, scratch / "moved.jsonl");
  EXPECT_TRUE(log.is_gone());
  std::filesystem::remove(scratch / "moved.jsonl");
  scratch.write("metrics.jsonl", "{\"step\":0}\n");
  EXPECT_TRUE(log.is_gone()) << "another file has that name";
  log.reopen();
  EXPECT_FALSE(log.is_gone());
  log.write({{"step", 2}});
  EXPECT_EQ(read_bytes(path), "{\"step\":0}\n{\"step\":2}\n");
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

TEST(RewindMetrics, HalfALineAtTheEndGoesToo) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("metrics.jsonl", "{\"step\":1}\n{\"step\":2}\n{\"st");
  rewind_metrics(path, 500);  // shorter than the checkpoint remembers
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n{\"step\":2}\n");
  rewind_metrics(path, 15);  // of another file
  EXPECT_EQ(read_bytes(path), "{\"step\":1}\n");
  scratch.write("metrics.jsonl", "{\"st");
  rewind_metrics(path, 500);
  EXPECT_EQ(read_bytes(path), "");
  rewind_metrics(path, 500);
  EXPECT_EQ(read_bytes(path), "");
}

TEST(RewindMetrics, AMissingFileIsFine) {
  const ScratchDirectory scratch;
  rewind_metrics(scratch / "metrics.jsonl", 3);
  EXPECT_FALSE(std::filesystem::exists(scratch / "metrics.jsonl"));
}

}  // namespace
}  // namespace bertcram::monitor
