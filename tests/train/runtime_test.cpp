// What a command that computes makes of its process.

#include "bertcram/train/runtime.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "bertcram/util/error.h"
#include "train/allocator_settings.h"
#include "util/test_support.h"

namespace bertcram::train {
namespace {

using config::DeviceKind;
using config::Precision;

TEST(AllocatorSettings, HaveOneMemoryShareHoweverOftenItIsSet) {
  const std::string once = with_memory_share("", 0.5);
  EXPECT_EQ(once, "per_process_memory_fraction:0.5");
  EXPECT_EQ(with_memory_share(once, 0.5), once);
  EXPECT_EQ(with_memory_share(once, 0.25), "per_process_memory_fraction:0.25");
}

TEST(AllocatorSettings, OfTheUsersStayAsTheyAre) {
  const std::string users = "expandable_segments:True,roundup_power2_divisions:[256:1,512:2,>:4]";
  const std::string once = with_memory_share(users, 0.5);
  EXPECT_EQ(once, users + ",per_process_memory_fraction:0.5");
  EXPECT_EQ(with_memory_share(once, 0.5), once);
  EXPECT_EQ(with_memory_share("per_process_memory_fraction:0.9, backend:native,", 0.5),
            "backend:native,per_process_memory_fraction:0.5");
}

TEST(Runtime, TheLastSetUpHolds) {
  set_up_runtime({.device = DeviceKind::kCpu, .tf32 = true, .threads = 2});
  EXPECT_EQ(at::globalContext().float32MatmulPrecision(), at::Float32MatmulPrecision::HIGH);
  EXPECT_EQ(at::get_num_threads(), 2);
  const Runtime runtime = set_up_runtime({.device = DeviceKind::kCpu, .precision = Precision::kFp32, .threads = 1});
  EXPECT_EQ(at::globalContext().float32MatmulPrecision(), at::Float32MatmulPrecision::HIGHEST);
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_EQ(runtime.threads, 1);
  EXPECT_EQ(runtime.compute_type, at::kFloat);
  EXPECT_TRUE(runtime.device.is_cpu());
}

TEST(Runtime, WhatIsRefusedChangesNothing) {
  set_up_runtime({.device = DeviceKind::kCpu, .threads = 1});
  EXPECT_TRUE(test::contains(test::message_of<ConfigError>([] {
                               set_up_runtime(
                                   {.device = DeviceKind::kCpu, .tf32 = true, .memory_limit = "1MiB", .threads = 2});
                             }),
                             "memory_limit 1MiB is too little"));
  EXPECT_THROW(set_up_runtime({.device = DeviceKind::kCpu, .tf32 = true, .fp16_accumulation = true, .threads = 2}),
               ConfigError);
  EXPECT_EQ(at::globalContext().float32MatmulPrecision(), at::Float32MatmulPrecision::HIGHEST);
  EXPECT_EQ(at::get_num_threads(), 1);
}

}  // namespace
}  // namespace bertcram::train
