// Model folders in Hugging Face's layout, written and read.

#include "bertcram/checkpoint/model_directory.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bertcram/checkpoint/tensor_files.h"
#include "data/packing_support.h"
#include "nn/tensor_support.h"

namespace bertcram::checkpoint {
namespace {

using test::contains;
using test::message_of;
using test::same_bits;
using test::ScratchDirectory;

const model::BertShape kShape = {.vocab = 57, .hidden = 8, .layers = 1, .heads = 2, .ffn = 16, .max_positions = 12};

nn::Parameters parameters_for(const model::Head& head, uint64_t seed) {
  nn::Parameters parameters(model::parameter_specs(kShape, head), at::kFloat, at::kCPU);
  parameters.initialise(seed, 0.1);
  return parameters;
}

void write_model(const std::filesystem::path& folder, const model::Head& head = {}) {
  nn::Parameters parameters = parameters_for(head, 1);
  write_model_directory(folder, kShape, head, parameters, test::tiny_tokenizer());
}

TEST(ModelDirectory, ReadsBackWhatItWrites) {
  const ScratchDirectory scratch;
  write_model(scratch / "model");
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json", "vocab.txt"}) {
    EXPECT_TRUE(std::filesystem::exists(scratch / "model" / file)) << file;
  }
  const ModelDirectory opened = open_model_directory(scratch / "model");
  EXPECT_TRUE(opened.shape == kShape);
  EXPECT_EQ(opened.head.kind, model::HeadKind::kMaskedLm);
  EXPECT_EQ(opened.tokenizer->fingerprint(), test::tiny_tokenizer().fingerprint());
  nn::Parameters loaded = parameters_for({}, 2);
  load_weights(scratch / "model", loaded, Strictness::kComplete);
  nn::Parameters expected = parameters_for({}, 1);
  EXPECT_TRUE(same_bits(loaded.masters(), expected.masters()));
}

TEST(ModelDirectory, AnotherHeadKeepsItsInitialWeights) {
  const ScratchDirectory scratch;
  write_model(scratch / "model");
  const model::Head head = {.kind = model::HeadKind::kClassifier, .outputs = 3};
  nn::Parameters loaded = parameters_for(head, 2);
  const at::Tensor initial = loaded.leaf("classifier.weight").detach().clone();
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_weights(scratch / "model", loaded, Strictness::kComplete); }),
                       "4 tensors are missing: bert.pooler.dense.weight"));
  load_weights(scratch / "model", loaded, Strictness::kEncoderOnly);
  EXPECT_TRUE(same_bits(loaded.leaf("classifier.weight"), initial));
  EXPECT_TRUE(same_bits(loaded.leaf("bert.embeddings.word_embeddings.weight"),
                        parameters_for({}, 1).leaf("bert.embeddings.word_embeddings.weight")));
}

TEST(ModelDirectory, AnEncoderWithoutThePrefixIsRead) {
  const ScratchDirectory scratch;
  nn::Parameters source = parameters_for({}, 1);
  std::vector<nn::NamedTensor> bare;
  for (nn::NamedTensor& each : source.stored_views(source.masters())) {
    if (each.name.starts_with("bert.")) {
      bare.push_back({each.name.substr(5), each.tensor});
    }
  }
  write_tensors(scratch / "model.safetensors", bare);
  nn::Parameters loaded = parameters_for({}, 2);
  EXPECT_THROW(load_weights(scratch.path(), loaded, Strictness::kComplete), DataError);
  load_weights(scratch.path(), loaded, Strictness::kEncoderOnly);
  EXPECT_TRUE(same_bits(loaded.leaf("bert.encoder.layer.0.attention.self.qkv.weight"),
                        source.leaf("bert.encoder.layer.0.attention.self.qkv.weight")));
}

TEST(ModelDirectory, AMissingEncoderTensorIsNamedEvenForTheEncoderAlone) {
  const ScratchDirectory scratch;
  nn::Parameters source = parameters_for({}, 1);
  auto views = source.stored_views(source.masters());
  std::erase_if(views, [](const nn::NamedTensor& each) { return each.name.ends_with("self.key.weight"); });
  write_tensors(scratch / "model.safetensors", views);
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_weights(scratch.path(), source, Strictness::kEncoderOnly); }),
                       "1 tensors are missing: bert.encoder.layer.0.attention.self.key.weight"));
}

TEST(ModelDirectory, WhatIsMissingOrUnsuitableIsSaid) {
  const ScratchDirectory scratch;
  EXPECT_TRUE(contains(message_of<DataError>([&] { open_model_directory(scratch / "none"); }), "config.json"));
  write_model(scratch / "model");
  test::write_bytes(scratch / "model/config.json", "{");
  EXPECT_TRUE(contains(message_of<DataError>([&] { open_model_directory(scratch / "model"); }), "not valid JSON"));
  write_model(scratch / "pickle");
  std::filesystem::rename(scratch / "pickle/model.safetensors", scratch / "pickle/pytorch_model.bin");
  EXPECT_TRUE(contains(message_of<DataError>([&] { open_model_directory(scratch / "pickle"); }), "pickle"));
  write_model(scratch / "small");
  auto config = model::to_hub_config(kShape, {});
  config["vocab_size"] = 56;
  test::write_bytes(scratch / "small/config.json", config.dump());
  EXPECT_TRUE(contains(message_of<DataError>([&] { open_model_directory(scratch / "small"); }), "57 pieces"));
}

TEST(ModelDirectory, BrokenHeadsAreDataErrors) {
  const ScratchDirectory scratch;
  write_model(scratch / "model");
  auto config = model::to_hub_config(kShape, {});
  config["architectures"] = {"BertForSequenceClassification"};
  config["id2label"] = 3;
  test::write_bytes(scratch / "model/config.json", config.dump());
  EXPECT_THROW(open_model_directory(scratch / "model"), DataError);
}

}  // namespace
}  // namespace bertcram::checkpoint
