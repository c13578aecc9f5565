// From the words of --input to files.

#include "bertcram/data/input_list.h"

#include <gtest/gtest.h>

#include "bertcram/config/resolve.h"
#include "bertcram/util/error.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;

TEST(ExpandInputs, FindsFilesFoldersAndPatterns) {
  const ScratchDirectory scratch;
  scratch.write("b.txt", "");
  scratch.write("a.txt", "");
  scratch.write("deep/er/c.txt", "");
  scratch.write("deep/.hidden", "");
  const auto root = scratch.path();
  using Paths = std::vector<std::filesystem::path>;
  EXPECT_EQ(expand_inputs("--input", {(root / "b.txt").string(), "-"}), (Paths{root / "b.txt", "-"}));
  EXPECT_EQ(expand_inputs("--input", {root.string()}), (Paths{root / "a.txt", root / "b.txt", root / "deep/er/c.txt"}));
  EXPECT_EQ(expand_inputs("--input", {(root / "*.txt").string()}), (Paths{root / "a.txt", root / "b.txt"}));
  EXPECT_EQ(expand_inputs("--input", {(root / "*").string()}),
            (Paths{root / "a.txt", root / "b.txt", root / "deep/er/c.txt"}));
  EXPECT_TRUE(contains(message_of<DataError>([&] { expand_inputs("--input", {(root / "*.gz").string()}); }), "*.gz"));
  EXPECT_THROW(expand_inputs("--input", {(root / "none").string()}), DataError);
}

TEST(ResolveInputs, WhatTheCommandWritesIsNoInput) {
  const ScratchDirectory scratch;
  const auto text = scratch.write("text.txt", "one\n");
  scratch.write("output/vocab.txt", "two\n");
  const auto beside = scratch.write("output-2/text.txt", "three\n");
  for (const std::string& word :
       {scratch.path().string(), (scratch / "*").string(), (scratch / "output/../.").string()}) {
    const auto paths = resolve_inputs({word}, {}, scratch / "output").paths();
    ASSERT_EQ(paths.size(), 2U);
    EXPECT_TRUE(std::filesystem::equivalent(paths[0], beside) && std::filesystem::equivalent(paths[1], text)) << word;
  }
  const std::string message = message_of<ConfigError>(
      [&] { resolve_inputs({(scratch / "output").string()}, {}, scratch.path().string() + "/./output/"); });
  EXPECT_TRUE(contains(message, "--output")) << message;
}

TEST(InputListFingerprint, TellsTheRulesOfEachSourceAndHowManyFilesItHas) {
  config::SourceConfig plain;
  config::SourceConfig half;
  half.weight = 0.5;
  InputList inputs{.sources = {plain, half, half}, .files = {{"a", 1}, {"b", 0}, {"c", 1}, {"d", 0}, {"e", 1}}};
  const std::string plain_rules = config::fingerprint(config::fields_of(plain));
  const std::string half_rules = config::fingerprint(config::fields_of(half));
  EXPECT_EQ(fingerprint(inputs, {}), plain_rules + "*2\n" + half_rules + "*3\n" + half_rules + "*0\n");
  inputs.files = {{"b", 0}, {"d", 0}};
  EXPECT_EQ(fingerprint(inputs, {}), "") << "nothing is said about these";
}

}  // namespace
}  // namespace bertcram::data
