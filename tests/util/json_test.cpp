#include "bertcram/util/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace bertcram::util {
namespace {

std::string nested(size_t levels, char open = '[', char close = ']') {
  return std::string(levels, open) + std::string(levels, close);
}

TEST(ParseJsonTest, TakesAsManyLevelsAsHuggingFace) {
  EXPECT_EQ(parse_json(nested(128)).dump(), nested(128));
  EXPECT_EQ(try_parse_json(nested(128)).dump(), nested(128));
}

TEST(ParseJsonTest, RefusesDeeperOnesInsteadOfExhaustingTheStack) {
  for (const size_t levels : {size_t{129}, size_t{1'000'000}}) {
    EXPECT_TRUE(try_parse_json(nested(levels)).is_null());
    try {
      parse_json(nested(levels));
      ADD_FAILURE() << levels;
    } catch (const nlohmann::json::exception& error) {
      EXPECT_EQ(json_error_text(error.what()), "lists and objects in each other " + std::to_string(levels) +
                                                   " deep; at most 128 levels are supported");
    }
  }
}

TEST(ParseJsonTest, CountsLevelsAndNotLists) {
  std::string text = "[";
  for (int i = 0; i < 1000; ++i) {
    text += "[],{},";
  }
  EXPECT_EQ(parse_json(text + "0]").size(), 2001U);
}

TEST(ParseJsonTest, BracketsInStringsAreText) {
  const std::string text = R"(["\"[{)" + std::string(1000, '[') + R"(\\"])";
  EXPECT_EQ(parse_json(text).size(), 1U);
  EXPECT_EQ(try_parse_json(text).size(), 1U);
}

TEST(ParseJsonTest, DamagedTextIsAnErrorOrNull) {
  for (const char* text : {"", "{", "[1,]", "]", "{\"a\": \"", "\"\\"}) {
    EXPECT_THROW(parse_json(text), nlohmann::json::exception) << text;
    EXPECT_TRUE(try_parse_json(text).is_null()) << text;
  }
}

}  // namespace
}  // namespace bertcram::util
