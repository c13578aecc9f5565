// A run's files as they look while somebody writes, cuts, damages or removes them.

#include "bertcram/monitor/run_reader.h"

#include <cmath>
#include <fstream>

#include "util/test_support.h"

namespace bertcram::monitor {
namespace {

using test::ScratchDirectory;
using Values = std::vector<double>;

class MetricsReaderTest : public ::testing::Test {
 protected:
  void append(const std::string& text) const { std::ofstream(path_, std::ios::app | std::ios::binary) << text; }

  ScratchDirectory scratch_;
  std::filesystem::path path_ = scratch_ / "metrics.jsonl";
  MetricsReader reader_{path_};
};

TEST_F(MetricsReaderTest, TellsTrainingEvaluationsAndStarts) {
  append(R"({"event": "start", "step": 0, "seed": 3})"
         "\n"
         R"({"step": 1, "loss": 9.5, "mfu": null, "tokens": 64})"
         "\n"
         R"({"step": 1, "eval_loss": 8.5, "tokens": 64})"
         "\n"
         R"({"step": 2, "loss": 9, "rtd_loss": 0.5, "tokens": 128})"
         "\n");
  reader_.refresh();
  EXPECT_EQ(reader_.training().steps, Values({1, 2}));
  EXPECT_EQ(reader_.training().columns.at("loss"), Values({9.5, 9}));
  EXPECT_TRUE(std::isnan(reader_.training().columns.at("mfu")[0]));
  EXPECT_TRUE(std::isnan(reader_.training().columns.at("rtd_loss")[0]));
  EXPECT_EQ(reader_.training().columns.at("rtd_loss")[1], 0.5);
  EXPECT_EQ(reader_.training().columns.at("mfu").size(), 2U);
  EXPECT_EQ(reader_.evaluations().columns.at("eval_loss"), Values({8.5}));
  ASSERT_EQ(reader_.starts().size(), 1U);
  EXPECT_EQ(reader_.starts()[0]["seed"], 3);
}

TEST_F(MetricsReaderTest, LeavesALineThatIsBeingWrittenForTheNextLook) {
  append("{\"step\": 1, \"loss\": 9}\n{\"step\": 2, \"lo");
  reader_.refresh();
  EXPECT_EQ(reader_.training().size(), 1U);
  append("ss\": 8}\n");
  reader_.refresh();
  reader_.refresh();
  EXPECT_EQ(reader_.training().columns.at("loss"), Values({9, 8}));
  EXPECT_EQ(reader_.damaged_lines(), 0);
}

TEST_F(MetricsReaderTest, ReadsAFileThatWasCutAndGrewAgainAnew) {
  append("{\"step\": 1, \"loss\": 9}\n{\"step\": 2, \"loss\": 8}\n");
  reader_.refresh();
  std::filesystem::resize_file(path_, 23);
  append("{\"step\": 2, \"loss\": 7}\n{\"step\": 3, \"loss\": 6}\n{\"step\": 4, \"loss\": 5}\n");
  reader_.refresh();
  EXPECT_EQ(reader_.training().steps, Values({1, 2, 3, 4}));
  EXPECT_EQ(reader_.training().columns.at("loss"), Values({9, 7, 6, 5}));
  std::filesystem::resize_file(path_, 23);
  reader_.refresh();
  EXPECT_EQ(reader_.training().steps, Values({1}));
}

TEST_F(MetricsReaderTest, CountsALineWhoseListsAreTooDeepToCopy) {
  constexpr size_t kLevels = 400'000;
  append(cat(R"({"step": 1, "eval_loss": 8, "samples": )", std::string(kLevels, '['), std::string(kLevels, ']'),
             "}\n{\"step\": 2, \"loss\": 9}\n"));
  reader_.refresh();
  EXPECT_EQ(reader_.damaged_lines(), 1);
  EXPECT_EQ(reader_.training().steps, Values({2}));
}

TEST_F(MetricsReaderTest, CountsWhatIsNoMetricsLine) {
  append("garbage\n[1]\n{\"loss\": 1}\n{\"step\": \"x\"}\n\n");
  append(std::string(1, '\0') + "\n{\"step\": 5, \"loss\": 1e400}\n");
  reader_.refresh();
  EXPECT_EQ(reader_.damaged_lines(), 6) << "1e400 is no number either";
  append("{\"step\": 6, \"loss\": -1e300}\n");
  reader_.refresh();
  EXPECT_EQ(reader_.training().columns.at("loss").back(), -1e300);
}

TEST_F(MetricsReaderTest, PassesOverALineWithoutEnd) {
  append("{\"step\": 1, \"loss\": 9}\n");
  append(std::string(5U << 20U, 'x'));
  reader_.refresh();
  append("y\n{\"step\": 2, \"loss\": 8}\n");
  reader_.refresh();
  EXPECT_EQ(reader_.training().steps, Values({1, 2}));
}

TEST_F(MetricsReaderTest, TheEndOfATooLongLineIsNoLine) {
  append(std::string(2U << 20U, 'x') + "{\"step\": 1, \"loss\": 9}\n{\"step\": 2, \"loss\": 8}\n");
  reader_.refresh();
  EXPECT_EQ(reader_.training().steps, Values({2}));
  EXPECT_EQ(reader_.damaged_lines(), 1);
}

TEST_F(MetricsReaderTest, KeepsWhatItHasOfAFileThatIsGone) {
  append("{\"step\": 1, \"loss\": 9}\n");
  reader_.refresh();
  std::filesystem::remove(path_);
  reader_.refresh();
  EXPECT_EQ(reader_.training().size(), 1U);
  EXPECT_NO_THROW(MetricsReader(scratch_ / "none").refresh());
}

TEST(RunStatus, IsStaleWhenARunningRunHasLongBeenSilent) {
  const ScratchDirectory scratch;
  scratch.write("a/status.json", R"({"state":"running","step":7,"budget_share":0.25,"unix_time":1000})");
  EXPECT_EQ(read_status(scratch / "a", 1010).state, "running");
  EXPECT_EQ(read_status(scratch / "a", 1010).step, 7);
  EXPECT_EQ(read_status(scratch / "a", 2000).state, "stale");
  EXPECT_EQ(read_status(scratch / "a", 2000).age_seconds, 1000);
  EXPECT_EQ(read_status(scratch / "a", 900).state, "running") << "clocks of two machines differ";
  EXPECT_EQ(read_status(scratch / "a", 500).state, "stale") << "the clock was set back since";
  EXPECT_EQ(read_status(scratch / "a", 500).age_seconds, 0);
  scratch.write("b/status.json", R"({"state":"finished","unix_time":1000})");
  EXPECT_EQ(read_status(scratch / "b", 2000).state, "finished");
}

TEST(RunStatus, OfDamagedFilesIsUnknown) {
  const ScratchDirectory scratch;
  EXPECT_EQ(read_status(scratch / "none", 0).state, "unknown");
  scratch.write("a/status.json", R"({"state":"<b>","step":1e300,"budget_share":-7})");
  EXPECT_EQ(read_status(scratch / "a", 0).state, "unknown");
  EXPECT_EQ(read_status(scratch / "a", 0).budget_share, 0);
  scratch.write("b/status.json", "[");
  EXPECT_EQ(read_status(scratch / "b", 0).state, "unknown");
}

TEST(FindRuns, NamesRunsByTheirPath) {
  const ScratchDirectory scratch;
  for (const char* name : {"first", "sweep/a", "sweep/b", "first/model", ".hidden", "sweep/c/d", "sweep/e/f/g"}) {
    scratch.write(std::string(name) + "/metrics.jsonl", "");
  }
  std::filesystem::create_directory_symlink(scratch / "first", scratch / "latest");
  const auto runs = find_runs(scratch.path());
  std::vector<std::string> names;
  for (const auto& [name, path] : runs) {
    names.push_back(name);
  }
  EXPECT_EQ(names, std::vector<std::string>({"first", "sweep/a", "sweep/b", "sweep/c/d"})) << "three levels";
  EXPECT_EQ(find_runs(scratch / "first").begin()->first, "first");
  EXPECT_TRUE(find_runs(scratch / "none").empty());
}

TEST(FindRuns, FilesBehindLinksThatLeadOutMakeNoRun) {
  const ScratchDirectory scratch;
  const ScratchDirectory outside;
  outside.write("file", "");
  scratch.write("in/file", "");
  std::filesystem::create_directories(scratch / "out");
  std::filesystem::create_symlink(outside / "file", scratch / "out/status.json");
  std::filesystem::create_symlink(outside / "file", scratch / "out/metrics.jsonl");
  std::filesystem::create_symlink("file", scratch / "in/metrics.jsonl");
  const auto runs = find_runs(scratch.path());
  EXPECT_EQ(runs.size(), 1U);
  EXPECT_TRUE(runs.contains("in"));
}

}  // namespace
}  // namespace bertcram::monitor
