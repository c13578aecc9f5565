#include "bertcram/util/table.h"

#include <gtest/gtest.h>

namespace bertcram::util {
namespace {

TEST(Columns, AreCharactersNotBytes) {
  EXPECT_EQ(columns_of(""), 0U);
  EXPECT_EQ(columns_of("± €"), 3U);
  EXPECT_EQ(first_columns("± €uro", 3), "± €");
  EXPECT_EQ(first_columns("± €", 3), "± €");
  EXPECT_EQ(first_columns("ab", 9), "ab");
  EXPECT_EQ(first_columns("€", 0), "");
}

TEST(Columns, WhatDoesNotFitIsLeftOutAsAWhole) {
  const std::vector<std::string> parts = {"45.0 %", "2 h left", "Δ 3"};
  EXPECT_EQ(join_fitting(parts, ", ", 80), "45.0 %, 2 h left, Δ 3");
  EXPECT_EQ(join_fitting(parts, ", ", 21), "45.0 %, 2 h left, Δ 3");
  EXPECT_EQ(join_fitting(parts, ", ", 20), "45.0 %, 2 h left");
  EXPECT_EQ(join_fitting(parts, ", ", 7), "45.0 %");
  EXPECT_EQ(join_fitting(parts, ", ", 2), "45");
  EXPECT_EQ(join_fitting({}, ", ", 10), "");
}

TEST(Table, AlignsWordsToTheLeftAndNumbersToTheRight) {
  const Table table = {.word_columns = 1, .rows = {{"task", "mean"}, {"rte", "57.4 ± 1"}, {"sentiment", ""}}};
  EXPECT_EQ(plain_table(table),
            "task           mean\n"
            "rte        57.4 ± 1\n"
            "sentiment\n");
  EXPECT_EQ(markdown_table(table),
            "| task | mean |\n"
            "| --- | ---: |\n"
            "| rte | 57.4 ± 1 |\n"
            "| sentiment |  |\n");
}

}  // namespace
}  // namespace bertcram::util
