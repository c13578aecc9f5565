// Weights in one file and in shards.

#include "bertcram/checkpoint/weights.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bertcram/checkpoint/tensor_files.h"
#include "bertcram/util/hash.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::checkpoint {
namespace {

using nlohmann::json;
using test::contains;
using test::message_of;
using test::ScratchDirectory;

class Shards : public ::testing::Test {
 protected:
  Shards() {
    write_tensors(scratch_ / "one.safetensors", {{"a", at::ones({2})}, {"b", at::full({3}, 2.0)}});
    write_tensors(scratch_ / "two.safetensors", {{"c", at::full({1}, 3.0)}});
  }
  void write_index(const json& map) { scratch_.write(kWeightsIndex, json{{"weight_map", map}}.dump()); }
  std::string refusal() {
    return message_of<DataError>([&] { const Weights weights(scratch_.path()); });
  }

  ScratchDirectory scratch_;
  const json good_ = {{"a", "one.safetensors"}, {"b", "one.safetensors"}, {"c", "two.safetensors"}};
};

TEST_F(Shards, AreReadAsOneSetOfTensors) {
  write_index(good_);
  const Weights weights(scratch_.path());
  const at::Tensor b = at::zeros({3});
  const at::Tensor c = at::zeros({1});
  const LoadReport report = read_tensors(weights.tensors(), "x", {{"b", b}, {"c", c}});
  EXPECT_TRUE(report.missing.empty());
  EXPECT_EQ(report.unexpected, (std::vector<std::string>{"a"}));
  EXPECT_EQ(b[2].item<double>(), 2.0);
  EXPECT_EQ(c.item<double>(), 3.0);
}

TEST_F(Shards, TheirHashIsOfAllOfThem) {
  write_index(good_);
  const std::string hash = weights_hash(scratch_.path());
  EXPECT_EQ(weights_hash(scratch_.path()), hash);
  write_tensors(scratch_ / "two.safetensors", {{"c", at::full({1}, 4.0)}});
  EXPECT_NE(weights_hash(scratch_.path()), hash);
  write_tensors(scratch_ / kWeightsFile, {{"whole", at::ones({1})}});
  EXPECT_EQ(weights_hash(scratch_.path()), util::hash_file(scratch_ / kWeightsFile).hex());
}

TEST_F(Shards, OneFileGoesBeforeAnIndex) {
  write_index(good_);
  write_tensors(scratch_ / kWeightsFile, {{"whole", at::ones({1})}});
  EXPECT_TRUE(Weights(scratch_.path()).tensors().contains("whole"));
}

TEST_F(Shards, AMissingShardIsNamed) {
  json map = good_;
  map["d"] = "three.safetensors";
  write_index(map);
  EXPECT_TRUE(contains(refusal(), "three.safetensors is missing"));
}

TEST_F(Shards, AnIndexThatDoesNotFitItsShardsIsRefused) {
  json map = good_;
  map["c"] = "one.safetensors";
  write_index(map);
  EXPECT_TRUE(contains(refusal(), "'c' is not in one.safetensors"));
  map = good_;
  map.erase("b");
  write_index(map);
  EXPECT_TRUE(contains(refusal(), "one.safetensors holds the tensor 'b', of which the index says nothing"));
  write_tensors(scratch_ / "two.safetensors", {{"b", at::zeros({3})}, {"c", at::zeros({1})}});
  write_index(good_);
  EXPECT_TRUE(contains(refusal(), "two.safetensors holds the tensor 'b', of which the index says that it is in one"));
}

TEST_F(Shards, AnIndexNamesFilesBesideItOnly) {
  for (const char* elsewhere : {"../one.safetensors", "/etc/passwd", "", "..", "."}) {
    json map = good_;
    map["a"] = elsewhere;
    write_index(map);
    EXPECT_TRUE(contains(refusal(), "expected the name of a file beside it")) << elsewhere;
  }
}

TEST_F(Shards, ADamagedIndexIsADataError) {
  for (const char* text : {"", "{", "[]", "{}", R"({"weight_map": 3})", R"({"weight_map": {"a": 3}})"}) {
    scratch_.write(kWeightsIndex, text);
    EXPECT_TRUE(contains(refusal(), "not an index of safetensors")) << text;
  }
}

TEST(Weights, APickleIsRefusedWithWhatConvertsIt) {
  const ScratchDirectory scratch;
  EXPECT_TRUE(contains(message_of<DataError>([&] { const Weights weights(scratch.path()); }), "no weights here"));
  scratch.write("pytorch_model.bin", "x");
  EXPECT_TRUE(contains(message_of<DataError>([&] { const Weights weights(scratch.path()); }), "save_pretrained"));
}

}  // namespace
}  // namespace bertcram::checkpoint
