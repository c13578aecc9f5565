// The table of a command's runs, as it fills.

#include "bertcram/glue/unit_board.h"

#include <gtest/gtest.h>

namespace bertcram::glue {
namespace {

void expect_two_tasks(UnitBoard& board) {
  for (int64_t seed = 0; seed < 3; ++seed) {
    board.expect({.task = "cola", .seed = seed}, "matthews");
  }
  board.expect({.task = "rte", .seed = 0}, "accuracy");
}

TEST(UnitBoard, ShowsScoresSharesAndWhatIsToCome) {
  UnitBoard board;
  expect_two_tasks(board);
  board.note_share({.task = "cola", .seed = 0}, 0.99);
  board.note_score({.task = "cola", .seed = 0}, 41.25);
  board.note_share({.task = "cola", .seed = 1}, 0.372);
  EXPECT_EQ(board.text(),
            "seed                0      1      2  median\n"
            "cola  matthews   41.2   37 %      -    41.2\n"
            "rte   accuracy      -\n");
}

TEST(UnitBoard, TakesTheMedianOfTheScoresThatThereAre) {
  UnitBoard board;
  expect_two_tasks(board);
  board.note_score({.task = "cola", .seed = 2}, 10);
  board.note_score({.task = "cola", .seed = 0}, 30);
  EXPECT_NE(board.text().find("    20.0\n"), std::string::npos) << board.text();
  board.note_score({.task = "cola", .seed = 1}, 12);
  EXPECT_NE(board.text().find("    12.0\n"), std::string::npos) << board.text();
}

TEST(UnitBoard, SaysWhatIsComplete) {
  UnitBoard board;
  expect_two_tasks(board);
  board.note_score({.task = "rte", .seed = 0}, 57);
  EXPECT_TRUE(board.is_complete("rte"));
  EXPECT_FALSE(board.is_complete("cola"));
  EXPECT_EQ(board.tally(), "1 of 2 tasks done");
  board.note_failure("rte");
  EXPECT_FALSE(board.is_complete("rte"));
  EXPECT_EQ(board.tally(), "0 of 2 tasks done");
  EXPECT_NE(board.text().find("failed"), std::string::npos) << board.text();
}

TEST(UnitBoard, GivesEachRateOfAGridALine) {
  UnitBoard board;
  board.expect({.task = "sst2", .seed = 0, .grid_rate = 5e-5}, "accuracy");
  board.expect({.task = "sst2", .seed = 0, .grid_rate = 2e-5}, "accuracy");
  board.note_score({.task = "sst2", .seed = 0, .grid_rate = 2e-5}, 90);
  EXPECT_EQ(board.text(),
            "seed                      0  median\n"
            "sst2 5e-05  accuracy      -\n"
            "sst2 2e-05  accuracy   90.0    90.0\n");
  EXPECT_FALSE(board.is_complete("sst2"));
}

TEST(UnitBoard, IsEmptyWithoutRuns) { EXPECT_EQ(UnitBoard().text(), ""); }

}  // namespace
}  // namespace bertcram::glue
