// Where a fine-tuning command works: what links lead to is settled when it begins.

#include "bertcram/config/finetune_config.h"

#include <gtest/gtest.h>

#include "util/test_support.h"

namespace bertcram::config {
namespace {

namespace fs = std::filesystem;

/// Two runs, and a link `latest` to the first.
class FinetunePaths : public ::testing::Test {
 protected:
  FinetunePaths() {
    for (const char* run : {"first", "second"}) {
      fs::create_directories(runs() / run / "model");
    }
    fs::create_directory_symlink("first", runs() / "latest");
  }

  fs::path runs() const { return fs::canonical(scratch_.path()); }

  test::ScratchDirectory scratch_;
};

// Found by review: one result of two models.
TEST_F(FinetunePaths, ALinkThatMovesOnMovesNothing) {
  FinetuneConfig config;
  config.model = runs() / "latest/model";
  const FinetuneConfig settled = with_settled_paths(config);
  fs::remove(runs() / "latest");
  fs::create_directory_symlink("second", runs() / "latest");
  EXPECT_EQ(settled.model, runs() / "first/model");
  EXPECT_EQ(results_folder(settled), runs() / "first/glue");
  config.output = runs() / "latest/scores/new";  // as far as it exists
  EXPECT_EQ(results_folder(with_settled_paths(config)), runs() / "second/scores/new");
}

TEST_F(FinetunePaths, WithoutLinksTheyStayAsGiven) {
  for (const char* model : {"first/model", "first/model/", "first/../first/model", "no/such/model"}) {
    FinetuneConfig config;
    config.model = fs::relative(runs() / "first").parent_path() / model;
    EXPECT_EQ(with_settled_paths(config).model, config.model);
    EXPECT_EQ(with_settled_paths(config).output, "");
    config.output = "scores";
    EXPECT_EQ(with_settled_paths(config).output, "scores");
  }
  FinetuneConfig nowhere;
  nowhere.model = "";
  EXPECT_EQ(with_settled_paths(nowhere).model, "");
}

TEST_F(FinetunePaths, ResultsStandBesideALinkToAModelElsewhere) {
  fs::create_directory_symlink("first/model", runs() / "bert");
  FinetuneConfig config;
  config.model = runs() / "bert";
  EXPECT_EQ(with_settled_paths(config).model, runs() / "first/model");
  EXPECT_EQ(results_folder(with_settled_paths(config)), runs() / "glue");
  EXPECT_EQ(results_folder(with_settled_paths(config)), results_folder(config));
}

TEST_F(FinetunePaths, ResultsOfRandomWeightsHaveAFolderOfTheirOwn) {
  FinetuneConfig config;
  config.model = runs() / "latest/model/";
  config.init = InitFrom::kRandom;
  EXPECT_EQ(results_folder(config), runs() / "latest/glue-random");
  EXPECT_EQ(results_folder(with_settled_paths(config)), runs() / "first/glue-random");
}

}  // namespace
}  // namespace bertcram::config
