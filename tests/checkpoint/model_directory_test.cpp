// Model folders in Hugging Face's layout, written and read.

#include "bertcram/checkpoint/model_directory.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bertcram/checkpoint/tensor_files.h"
#include "bertcram/model/hub_config.h"
#include "bertcram/model/parameter_specs.h"
#include "data/packing_support.h"
#include "nn/tensor_support.h"

namespace bertcram::checkpoint {
namespace {

using test::contains;
using test::message_of;
using test::same_bits;
using test::ScratchDirectory;

const model::EncoderShape kShape = {.vocab = 57, .hidden = 8, .layers = 1, .heads = 2, .ffn = 16, .max_positions = 12};

nn::Parameters parameters_for(const model::Head& head, uint64_t seed) {
  nn::Parameters parameters(model::parameter_specs(kShape, head), at::kFloat, at::kCPU);
  parameters.initialise(seed, 0.1);
  return parameters;
}

void write_model(const std::filesystem::path& folder, const model::Head& head = {}) {
  nn::Parameters parameters = parameters_for(head, 1);
  write_model_directory(folder, {.shape = kShape, .head = head, .tensors = model_tensors(kShape, head, parameters)},
                        test::tiny_tokenizer());
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

TEST(ModelDirectory, WhatAKilledSessionLeftThereMakesItUnfinished) {
  const ScratchDirectory scratch;
  nn::Parameters parameters = parameters_for({}, 1);
  const StoredModel model = {.shape = kShape, .head = {}, .tensors = model_tensors(kShape, {}, parameters)};
  write_model(scratch / "model");
  EXPECT_TRUE(is_model_of(scratch / "model", model, test::tiny_tokenizer()));
  std::filesystem::create_directory(scratch /
                                    "model/.partial");  // its files are in their places: only this was not removed
  EXPECT_FALSE(is_model_of(scratch / "model", model, test::tiny_tokenizer()));
  write_model(scratch / "model");
  EXPECT_FALSE(std::filesystem::exists(scratch / "model/.partial"));
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
                       "1 tensor is missing: bert.encoder.layer.0.attention.self.key.weight"));
}

TEST(ModelDirectory, WhatIsMissingOrUnsuitableIsSaid) {
  const ScratchDirectory scratch;
  EXPECT_TRUE(contains(message_of<DataError>([&] { open_model_directory(scratch / "none"); }), "config.json"));
  write_model(scratch / "model");
  EXPECT_TRUE(contains(message_of<DataError>([&] { open_model_directory(scratch.path()); }),
                       "did you mean " + (scratch / "model").string() + "?"));
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

TEST(ModelDirectory, WhatIsThereInsteadOfAModelSaysWhereItIs) {
  const ScratchDirectory scratch;
  const auto refusal = [&](const std::string& folder) {
    return message_of<DataError>([&] { open_model_directory(scratch / folder); });
  };
  for (const char* file : {"run/config.yaml", "run/metrics.jsonl", "run/checkpoints/step-0000000003/state.json",
                           "run/checkpoints/step-0000000003/weights.safetensors", "own/config.yaml"}) {
    scratch.write(file, "");
  }
  EXPECT_TRUE(contains(refusal("run"), "the run has written no model yet: it does when it stops or ends"));
  EXPECT_TRUE(contains(refusal("own"), "expected a folder written by 'bertcram pretrain' or Hugging Face"));
  const std::string step = (scratch / "run/checkpoints/step-0000000003").string();
  for (const char* end : {"", "/"}) {
    const std::string message = refusal(std::string("run/checkpoints/step-0000000003") + end);
    EXPECT_TRUE(contains(message, "checkpoint; the model is " + (scratch / "run/model").string() + " once")) << message;
    EXPECT_TRUE(contains(message, "'bertcram pretrain --resume " + step + " --output OTHER'")) << message;
  }
  for (const char* file : {"glue/settings.json", "glue/mood-seed0/checkpoints/step-3/state.json",
                           "glue/mood-seed0/checkpoints/step-3/weights.safetensors"}) {
    scratch.write(file, "");
  }
  const std::string message = refusal("glue/mood-seed0/checkpoints/step-3");
  EXPECT_TRUE(
      contains(message, "of fine-tuning; the model is " + (scratch / "glue/mood-seed0/model").string() + " once"))
      << message;
  write_model(scratch / "glue/mood-seed0/model");
  EXPECT_TRUE(contains(refusal("glue"), "did you mean " + (scratch / "glue/mood-seed0/model").string() + "?"));
  std::filesystem::create_directory_symlink("mood-seed0/model", scratch / "glue/mood");
  EXPECT_TRUE(contains(refusal("glue/"), "did you mean " + (scratch / "glue/mood").string() + "?"));
  write_model(scratch / "run/model");
  EXPECT_TRUE(contains(refusal("run"), "did you mean " + (scratch / "run/model").string() + "?"));
}

/// What another kind of model left in a file beside ours.
void add_to_weights(const std::filesystem::path& folder, std::vector<nn::NamedTensor> more) {
  nn::Parameters source = parameters_for({}, 1);
  for (nn::NamedTensor& view : source.stored_views(source.masters())) {
    more.push_back(view);
  }
  write_tensors(folder / "model.safetensors", more);
}

TEST(ModelDirectory, WhatOtherHeadsLeftIsPassedOver) {
  const ScratchDirectory scratch;
  nn::Parameters loaded = parameters_for({}, 2);
  nn::Parameters expected = parameters_for({}, 1);
  add_to_weights(scratch.path(),
                 {{"cls.seq_relationship.weight", at::zeros({2, 8})},
                  {"bert.pooler.dense.bias", at::zeros({8})},
                  {"bert.embeddings.position_ids", at::zeros({1, 12})},
                  {"classifier.weight", at::zeros({2, 8})},
                  {"linear.weight", at::zeros({4, 8})},
                  {"cls.predictions.decoder.bias", expected.stored("cls.predictions.bias")},
                  {"cls.predictions.decoder.weight", expected.stored("bert.embeddings.word_embeddings.weight")}});
  load_weights(scratch.path(), loaded, Strictness::kComplete);
  EXPECT_TRUE(same_bits(loaded.masters(), expected.masters()));
}

// A config.json with fewer layers than the file would otherwise give other numbers in silence.
TEST(ModelDirectory, WhatHasNoPlaceInTheModelIsListed) {
  const ScratchDirectory scratch;
  nn::Parameters loaded = parameters_for({}, 2);
  add_to_weights(scratch.path(), {{"bert.encoder.layer.1.output.dense.bias", at::zeros({8})},
                                  {"bert.encoder.layer.1.output.dense.weight", at::zeros({8, 16})}});
  for (const Strictness strictness : {Strictness::kComplete, Strictness::kEncoderOnly}) {
    EXPECT_TRUE(
        contains(message_of<DataError>([&] { load_weights(scratch.path(), loaded, strictness); }),
                 "2 tensors are without a place in the model of config.json: bert.encoder.layer.1.output.dense.bias, "
                 "bert.encoder.layer.1.output.dense.weight"));
  }
  add_to_weights(scratch.path(), {{"cls.predictions.adapter.weight", at::zeros({2})}});
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_weights(scratch.path(), loaded, Strictness::kComplete); }),
                       "1 tensor is without a place in the model of config.json: cls.predictions.adapter.weight"));
  nn::Parameters classifier = parameters_for({.kind = model::HeadKind::kClassifier, .outputs = 2}, 2);
  EXPECT_NO_THROW(load_weights(scratch.path(), classifier, Strictness::kEncoderOnly)) << "another model's head";
}

TEST(ModelDirectory, AClassifierOfAnotherTaskIsNotLoaded) {
  const ScratchDirectory scratch;
  write_model(scratch / "model", {.kind = model::HeadKind::kClassifier, .outputs = 3});
  nn::Parameters loaded = parameters_for({.kind = model::HeadKind::kClassifier, .outputs = 2}, 2);
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_weights(scratch / "model", loaded, Strictness::kComplete); }),
                       "'classifier.weight' has shape [3, 8], expected [2, 8]"));
  const at::Tensor initial = loaded.leaf("classifier.weight").detach().clone();
  load_weights(scratch / "model", loaded, Strictness::kEncoderOnly);
  EXPECT_TRUE(same_bits(loaded.leaf("classifier.weight"), initial));
}

TEST(ModelDirectory, ThePoolerOfAnotherTaskIsKept) {
  const ScratchDirectory scratch;
  const model::Head head = {.kind = model::HeadKind::kClassifier, .outputs = 3};
  write_model(scratch / "model", head);
  nn::Parameters loaded = parameters_for({.kind = model::HeadKind::kClassifier, .outputs = 2}, 2);
  load_weights(scratch / "model", loaded, Strictness::kEncoderOnly);
  EXPECT_TRUE(
      same_bits(loaded.leaf("bert.pooler.dense.weight"), parameters_for(head, 1).leaf("bert.pooler.dense.weight")));
}

TEST(ModelDirectory, ADecoderOfItsOwnIsRefusedWhereItWouldBeUsed) {
  const ScratchDirectory scratch;
  nn::Parameters loaded = parameters_for({}, 2);
  add_to_weights(scratch.path(), {{"cls.predictions.decoder.weight", at::ones({57, 8})}});
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_weights(scratch.path(), loaded, Strictness::kComplete); }),
                       "'cls.predictions.decoder.weight' differs from 'bert.embeddings.word_embeddings.weight'"));
  nn::Parameters encoder = parameters_for({.kind = model::HeadKind::kNone}, 2);
  EXPECT_NO_THROW(load_weights(scratch.path(), encoder, Strictness::kComplete));
}

TEST(ModelDirectory, ADecoderMayHoldTheOnlyBias) {
  const ScratchDirectory scratch;
  nn::Parameters source = parameters_for({}, 1);
  source.stored("cls.predictions.bias").fill_(0.5);
  auto views = source.stored_views(source.masters());
  for (nn::NamedTensor& view : views) {
    view.name = view.name == "cls.predictions.bias" ? "cls.predictions.decoder.bias" : view.name;
  }
  write_tensors(scratch / "model.safetensors", views);
  nn::Parameters loaded = parameters_for({}, 2);
  load_weights(scratch.path(), loaded, Strictness::kComplete);
  EXPECT_TRUE(same_bits(loaded.masters(), source.masters()));
}

TEST(ModelDirectory, ABareEncoderMayHaveOtherTensorsBesideIt) {
  const ScratchDirectory scratch;
  nn::Parameters source = parameters_for({.kind = model::HeadKind::kNone}, 1);
  std::vector<nn::NamedTensor> bare = {{"linear.weight", at::zeros({4, 8})}, {"pooler.dense.bias", at::zeros({8})}};
  for (nn::NamedTensor& each : source.stored_views(source.masters())) {
    bare.push_back({each.name.substr(5), each.tensor});
  }
  write_tensors(scratch / "model.safetensors", bare);
  nn::Parameters loaded = parameters_for({.kind = model::HeadKind::kNone}, 2);
  load_weights(scratch.path(), loaded, Strictness::kComplete);
  EXPECT_TRUE(same_bits(loaded.masters(), source.masters()));
}

TEST(ModelDirectory, OneTensorUnderTwoNamesIsRefused) {
  const ScratchDirectory scratch;
  add_to_weights(scratch.path(), {{"bert.embeddings.LayerNorm.gamma", at::zeros({8})}});
  nn::Parameters loaded = parameters_for({}, 2);
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_weights(scratch.path(), loaded, Strictness::kComplete); }),
                       "'bert.embeddings.LayerNorm.weight' is there twice"));
}

TEST(ModelDirectory, AModelUnderAPrefixIsWrittenUnderTheUsualNames) {
  const ScratchDirectory scratch;
  nn::Parameters both(model::replaced_token_specs(kShape, kShape), at::kFloat, at::kCPU);
  both.initialise(3, 0.1);
  const StoredModel generator = {
      .shape = kShape, .head = {}, .tensors = model_tensors(kShape, {}, both, model::kGeneratorPrefix)};
  write_model_directory(scratch / "generator", generator, test::tiny_tokenizer());
  EXPECT_TRUE(is_model_of(scratch / "generator", generator, test::tiny_tokenizer()));
  nn::Parameters loaded = parameters_for({}, 2);
  load_weights(scratch / "generator", loaded, Strictness::kComplete);
  EXPECT_TRUE(same_bits(loaded.leaf("bert.embeddings.word_embeddings.weight"),
                        both.leaf("bert.embeddings.word_embeddings.weight")));
  EXPECT_TRUE(same_bits(loaded.leaf("bert.encoder.layer.0.output.dense.weight"),
                        both.leaf("generator.bert.encoder.layer.0.output.dense.weight")));
  const StoredModel discriminator = {.shape = kShape,
                                     .head = model::replaced_token_head(),
                                     .tensors = model_tensors(kShape, model::replaced_token_head(), both)};
  EXPECT_FALSE(is_model_of(scratch / "generator", discriminator, test::tiny_tokenizer()));
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
