// Randomly damaged input files end in a result or in an error for the user, never in anything else.

#include <gtest/gtest.h>

#include <functional>

#include "bertcram/glue/reader.h"
#include "bertcram/glue/results.h"
#include "bertcram/glue/task_file.h"
#include "bertcram/util/random.h"
#include "scratch.h"

namespace bertcram::glue {
namespace {

using testing::Scratch;

/// The text with a few bytes replaced, removed or repeated.
std::string damaged(std::string text, util::RandomStream& rng) {
  for (uint64_t damage = 1 + rng.below(4); damage > 0 && !text.empty(); --damage) {
    const auto at = static_cast<size_t>(rng.below(text.size()));
    switch (rng.below(3)) {
      case 0: text[at] = static_cast<char>(rng.below(256)); break;
      case 1: text.erase(at, static_cast<size_t>(1 + rng.below(8))); break;
      default: text.insert(at, text.substr(at, static_cast<size_t>(1 + rng.below(8))));
    }
  }
  return text;
}

/// Calls `use` with 400 damaged versions of `text`; it may succeed or throw a DataError or ConfigError.
void expect_handled(const std::string& text, const std::function<void(const std::string&)>& use) {
  int64_t refused = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    util::RandomStream rng(seed);
    const std::string content = damaged(text, rng);
    try {
      use(content);
    } catch (const Error& error) {
      ++refused;
      EXPECT_TRUE(error.code() == ExitCode::kData || error.code() == ExitCode::kUsage)
          << "seed " << seed << ": " << error.what() << "\n"
          << content;
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "seed " << seed;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "seed " << seed << ": " << error.what() << "\n" << content;
    }
  }
  EXPECT_GT(refused, 50);  // the damage is worth the name
}

TEST(DamagedInput, ATsvFileIsReadOrRefused) {
  const Scratch data;
  const TaskSpec& stsb = find_task("stsb");
  const TaskSpec& rte = find_task("rte");
  expect_handled("sentence1\tsentence2\tscore\na\tb\t1.25\nc\td\t5.000\n", [&](const std::string& content) {
    data.write("STS-B/train.tsv", content);
    read_split(stsb, *stsb.train, data.root());
  });
  expect_handled("index\tsentence1\tsentence2\tlabel\r\n0\ta\tb\tentailment\r\n", [&](const std::string& content) {
    data.write("RTE/train.tsv", content);
    read_split(rte, *rte.train, data.root());
  });
}

TEST(DamagedInput, ATaskFileIsReadOrRefused) {
  const Scratch data;
  data.write("train.tsv", "class\ttext\na\tx\nb\ty\n");
  expect_handled(
      "name: t\ntrain: train.tsv\ndev: train.tsv\ncolumns: {sentence1: text, label: class}\nlabels: [a, b]\n"
      "metric: [f1, accuracy]\n",
      [&](const std::string& content) { load_task_file(data.write("t.yaml", content)); });
}

TEST(DamagedInput, AResultsFileIsReadOrRefused) {
  const Scratch data;
  GlueResults results{.protocol = "transfer"};
  results.tasks["rte"] = summarise_seeds(Metric::kAccuracy, {{.seed = 7, .metrics = {{"accuracy", 55.5}}}});
  expect_handled(results_to_json(results),
                 [&](const std::string& content) { load_results(data.write("r.json", content)); });
}

}  // namespace
}  // namespace bertcram::glue
