// The fuzz targets without a fuzzer: good files are accepted, randomly damaged ones too or refused for the user to read.

#include "fuzz/targets.h"

#include <gtest/gtest.h>

#include "bertcram/util/log.h"
#include "util/damage.h"
#include "util/test_support.h"

namespace bertcram::test {
namespace {

class FuzzTargetsProperty : public ::testing::TestWithParam<FuzzTarget> {
 protected:
  FuzzTargetsProperty() { util::configure_logging({.level = util::LogLevel::kError, .file = {}}); }
  ~FuzzTargetsProperty() override { util::configure_logging({}); }
};

INSTANTIATE_TEST_SUITE_P(All, FuzzTargetsProperty, ::testing::ValuesIn(fuzz_targets().begin(), fuzz_targets().end()),
                         [](const auto& target) { return std::string(target.param.name); });

TEST_P(FuzzTargetsProperty, GoodFilesAreAcceptedAndDamagedOnesHandled) {
  const ScratchDirectory folder;
  const uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  util::RandomStream random(seed);
  constexpr int kDamages = 300;
  int refused = 0;
  for (const std::string& good : GetParam().seeds()) {
    EXPECT_NO_THROW(GetParam().read(good, folder.path()));
    for (int i = 0; i < kDamages; ++i) {
      const std::string bytes = damaged(good, random);
      try {
        refused += accepts(GetParam(), bytes, folder.path()) ? 0 : 1;
      } catch (const std::logic_error& error) {
        FAIL() << error.what() << "\n" << bytes;
      }
    }
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace bertcram::test
