// The order in which runs are handed out, and who waits for whom.

#include "train/unit_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace bertcram::train {
namespace {

PlannedUnit unit(const std::string& task, int64_t seed, const std::string& start = "") {
  return {.id = {.task = task, .seed = seed}, .start_from = start};
}

std::string taken(UnitQueue& queue) {
  const auto next = queue.take();
  return next ? next->id.folder() : "-";
}

TEST(UnitQueue, HandsOutInOrderAndEnds) {
  UnitQueue queue({unit("cola", 0), unit("cola", 1), unit("rte", 0)});
  EXPECT_EQ(taken(queue), "cola-seed0");
  EXPECT_EQ(taken(queue), "cola-seed1");
  EXPECT_EQ(taken(queue), "rte-seed0");
  EXPECT_EQ(taken(queue), "-");
}

TEST(UnitQueue, ARunWaitsForTheModelThatItStartsFrom) {
  UnitQueue queue({unit("mnli", 0), unit("rte", 0, "mnli"), unit("cola", 0)});
  EXPECT_EQ(taken(queue), "mnli-seed0");
  EXPECT_EQ(taken(queue), "cola-seed0") << "what need not wait goes first";
  std::atomic<bool> is_there = false;
  std::string got;
  std::thread worker([&] {
    got = taken(queue);
    EXPECT_TRUE(is_there);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  is_there = true;
  queue.note_model("mnli");
  worker.join();
  EXPECT_EQ(got, "rte-seed0");
}

TEST(UnitQueue, GivingUpATaskEndsThoseThatStartFromIt) {
  UnitQueue queue({unit("mnli", 0), unit("mnli", 1), unit("rte", 0, "mnli"), unit("cola", 0)});
  EXPECT_EQ(taken(queue), "mnli-seed0");
  EXPECT_EQ(queue.give_up("mnli", true), (std::vector<std::string>{"mnli", "rte"}));
  EXPECT_EQ(taken(queue), "cola-seed0");
  EXPECT_EQ(taken(queue), "-");
}

TEST(UnitQueue, AnotherRunThatFailsLeavesThoseThatStartFromTheTask) {
  UnitQueue queue({unit("mnli", 0), unit("mnli", 1), unit("rte", 0, "mnli")});
  EXPECT_EQ(taken(queue), "mnli-seed0");
  EXPECT_EQ(taken(queue), "mnli-seed1");
  EXPECT_EQ(queue.give_up("mnli", false), std::vector<std::string>{"mnli"}) << "the first one still runs";
  queue.note_model("mnli");
  EXPECT_EQ(taken(queue), "rte-seed0");
}

TEST(UnitQueue, ClosingWakesWhoWaits) {
  UnitQueue queue({unit("rte", 0, "mnli")});
  std::string got;
  std::thread worker([&] { got = taken(queue); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  queue.close();
  worker.join();
  EXPECT_EQ(got, "-");
}

TEST(UnitQueue, AWorkerThatLeavesWithTheStartWakesWhoWaitsForIt) {
  UnitQueue queue({unit("mnli", 0), unit("rte", 0, "mnli")});
  std::string got;
  std::thread worker;
  queue.work(
      [&] {  // the start is taken
        worker = std::thread([&] { got = taken(queue); });
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return true;
      },
      [](const PlannedUnit&) { FAIL() << "runs nothing"; });
  worker.join();
  EXPECT_EQ(got, "-");
}

TEST(UnitQueue, WorkRunsAllInOrder) {
  UnitQueue queue({unit("cola", 0), unit("cola", 1)});
  std::string ran;
  queue.work([] { return false; }, [&](const PlannedUnit& next) { ran += next.id.folder() + " "; });
  EXPECT_EQ(ran, "cola-seed0 cola-seed1 ");
}

}  // namespace
}  // namespace bertcram::train
