#include "bertcram/optim/loss_scaler.h"

#include <gtest/gtest.h>

namespace bertcram::optim {
namespace {

TEST(LossScaler, IsOneForEverOutsideOfFp16) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    LossScaler scaler(type);
    EXPECT_EQ(scaler.factor(), 1.0);
    EXPECT_FALSE(scaler.update(false)) << "an overflow is no fault of the factor";
    scaler.restore({.factor = 64.0, .good_steps = 3});
    EXPECT_EQ(scaler.factor(), 1.0);
  }
}

TEST(LossScaler, HalvesOnOverflowAndDoublesAfterTwoThousandGoodSteps) {
  LossScaler scaler(at::kHalf);
  EXPECT_EQ(scaler.factor(), 1024.0);
  EXPECT_TRUE(scaler.update(false));
  EXPECT_EQ(scaler.factor(), 512.0);
  for (int step = 0; step < 1999; ++step) {
    EXPECT_FALSE(scaler.update(true));
  }
  EXPECT_EQ(scaler.factor(), 512.0);
  scaler.update(true);
  EXPECT_EQ(scaler.factor(), 1024.0);
}

TEST(LossScaler, AnOverflowStartsTheCountAgain) {
  LossScaler scaler(at::kHalf);
  for (int step = 0; step < 1999; ++step) {
    scaler.update(true);
  }
  scaler.update(false);
  scaler.update(true);
  EXPECT_EQ(scaler.factor(), 512.0);
}

TEST(LossScaler, StopsAtOneWhereAnOverflowIsNoLongerItsFault) {
  LossScaler scaler(at::kHalf);
  for (int step = 0; step < 10; ++step) {
    EXPECT_TRUE(scaler.update(false)) << step;
  }
  EXPECT_EQ(scaler.factor(), 1.0);
  EXPECT_FALSE(scaler.update(false));
  EXPECT_EQ(scaler.factor(), 1.0);
}

TEST(LossScaler, GoesOnFromACheckpoint) {
  LossScaler before(at::kHalf);
  before.update(false);
  before.update(true);
  LossScaler after(at::kHalf);
  after.restore(before.state());
  EXPECT_EQ(after.factor(), before.factor());
  EXPECT_EQ(after.state().good_steps, 1);
  after.restore({});  // of a session in fp32
  EXPECT_EQ(after.factor(), before.factor());
  after.restore({.factor = 1.0, .good_steps = 5});
  EXPECT_EQ(after.factor(), 1.0) << "halved down to the end is a state too";
  EXPECT_EQ(LossScaler(at::kFloat).state().factor, 0.0);
}

}  // namespace
}  // namespace bertcram::optim
