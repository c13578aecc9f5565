#include "bertcram/util/shared_library.h"

#include <gtest/gtest.h>

namespace bertcram::util {
namespace {

TEST(FindFunction, FindsOneOrSaysWhyNot) {
  EXPECT_NE(find_function("libm.so.6", "cos").address, nullptr);
  for (const auto& [library, function] :
       {std::pair("libbertcram_nowhere.so", "cos"), std::pair("libm.so.6", "nowhere")}) {
    const FoundFunction found = find_function(library, function);
    EXPECT_EQ(found.address, nullptr) << library;
    EXPECT_NE(found.problem.find("nowhere"), std::string::npos) << found.problem;
  }
}

}  // namespace
}  // namespace bertcram::util
