// Runs that go on from a model folder: weights, shape and tokenizer are its own.

#include "train/origin.h"

#include <ATen/ops/equal.h>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/util/error.h"
#include "train/pretrain_support.h"

namespace bertcram::train {
namespace {

using test::contains;
using test::message_of;

class OriginTest : public test::PretrainTest {
 protected:
  config::PretrainConfig first_run(config::Arch arch = config::Arch::kBert) const {
    auto config = config_for("first");
    config.model.arch = arch;
    config.model.dropout = 0;
    run(config);
    return config;
  }
  /// One step that moves nothing, from the first run's model.
  config::PretrainConfig second_run(const config::PretrainConfig& first) const {
    auto config = config_for("second");
    config.model = {};
    config.init_from = first.output + "/model";
    config.budget.steps = 1;
    config.optim.learning_rate = 1e-30;
    config.optim.weight_decay = 0;
    return config;
  }
};

TEST_F(OriginTest, TheWeightsAreTheFoldersBitForBit) {
  for (const auto arch : {config::Arch::kBert, config::Arch::kModern}) {
    const auto first = first_run(arch);
    const auto second = second_run(first);
    const auto result = run(second);
    EXPECT_TRUE(weights_of(second) == weights_of(first));
    EXPECT_DOUBLE_EQ(result.held_out->loss, run(first).held_out->loss);
    std::filesystem::remove_all(first.output);
    std::filesystem::remove_all(second.output);
  }
}

TEST_F(OriginTest, ARunGoesOnWithoutTheFolderItStartedFrom) {
  for (const auto arch : {config::Arch::kBert, config::Arch::kModern}) {
    const auto first = first_run(arch);
    auto config = second_run(first);
    config.init_from = (scratch_ / "latest/model").string();  // which leads to the new run as soon as that trains
    config.budget.steps = 2;
    config.optim.learning_rate = 1e-3;
    run(config);
    const std::string whole = weights_of(config);
    const std::filesystem::path output = config.output;
    forget_after(config, 0);  // as if it had been killed before its first checkpoint
    std::filesystem::remove_all(output / "model");
    run(config);
    EXPECT_TRUE(weights_of(config) == whole);
    forget_after(config, 1);
    std::filesystem::remove_all(output / "model");
    std::filesystem::remove_all(first.output);
    EXPECT_EQ(run(config).steps, 2);
    EXPECT_TRUE(weights_of(config) == whole);
    std::filesystem::remove_all(config.output);
  }
}

TEST_F(OriginTest, WithADamagedNoteTheFolderIsReadAgain) {
  auto config = second_run(first_run());
  run(config);
  const std::string whole = weights_of(config);
  const std::filesystem::path output = config.output;
  std::filesystem::remove_all(output / "model");
  test::write_bytes(output / "origin.json", "");
  run(config);
  EXPECT_TRUE(weights_of(config) == whole);
}

TEST_F(OriginTest, TheConfigurationSaysTheFoldersShape) {
  const auto first = first_run();
  const auto second = second_run(first);
  run(second);
  const std::string written = test::read_bytes(std::filesystem::path(second.output) / "config.yaml");
  EXPECT_TRUE(contains(written, "hidden: 16"));
  EXPECT_TRUE(contains(written, "init_from: "));
}

TEST_F(OriginTest, AnEncoderWithoutAHeadGetsANewOne) {
  const auto first = first_run();
  const auto folder = checkpoint::open_model_directory(first.output + "/model");
  nn::Parameters encoder(model::parameter_specs(folder.shape, {.kind = model::HeadKind::kNone}), at::kFloat, at::kCPU);
  checkpoint::load_weights(folder.path, encoder, checkpoint::Strictness::kEncoderOnly);
  const model::Head none = {.kind = model::HeadKind::kNone};
  checkpoint::write_model_directory(
      scratch_ / "encoder",
      {.shape = folder.shape, .head = none, .tensors = checkpoint::model_tensors(folder.shape, none, encoder)},
      *folder.tokenizer);
  auto config = second_run(first);
  config.init_from = (scratch_ / "encoder").string();
  EXPECT_NO_THROW(run(config));
  const auto written = checkpoint::open_model_directory(config.output + "/model");
  nn::Parameters kept(model::parameter_specs(written.shape, {.kind = model::HeadKind::kNone}), at::kFloat, at::kCPU);
  checkpoint::load_weights(written.path, kept, checkpoint::Strictness::kEncoderOnly);
  EXPECT_TRUE(at::equal(kept.masters(), encoder.masters())) << "its encoder is the folder's";
  EXPECT_TRUE(contains(test::read_bytes(std::filesystem::path(config.output) / "run.log"), "has no masked-LM head"));
}

TEST_F(OriginTest, TheFolderDecidesOverThePresetsModelWithAWarning) {
  const auto first = first_run();
  auto config = second_run(first);
  config.model.hidden = 32;
  config.model.layers = 2;  // as it is there
  config.model.ffn = 64;
  run(config);
  const std::filesystem::path output = config.output;
  const std::string log = test::read_bytes(output / "run.log");
  EXPECT_TRUE(contains(log, "decides over the model: model.hidden is 16 there, not 32, model.ffn is 32 there, not 64"))
      << log;
  EXPECT_TRUE(contains(test::read_bytes(output / "config.yaml"), "hidden: 16"));
}

TEST_F(OriginTest, ATokenizerThatIsNotTheDatasIsRefused) {
  const auto first = first_run();
  auto config = second_run(first);
  const auto vocab = std::filesystem::path(first.output) / "model/tokenizer.json";
  std::string json = test::read_bytes(vocab);
  const size_t at = json.find("\"lowercase\": true");
  ASSERT_NE(at, std::string::npos);
  json.replace(at, 17, "\"lowercase\": false");
  test::write_bytes(vocab, json);
  for (const char* name : {"tokenizer_config.json", "manifest.json"}) {  // they would contradict
    std::filesystem::remove(vocab.parent_path() / name);
  }
  EXPECT_TRUE(contains(message_of<DataError>([&] { run(config); }), "--tokenizer " + config.init_from));
}

TEST_F(OriginTest, LongerRowsNeedPositionsUnlessTheyAreRotary) {
  const auto bert = first_run();
  auto config = second_run(bert);
  config.data = pack_folder("long", documents_, /*seq_len=*/32);
  const std::string refusal = message_of<ConfigError>([&] { run(config); });
  EXPECT_TRUE(contains(refusal, "max_positions 16 is less than the rows of 32"));
  EXPECT_TRUE(refusal.ends_with("; pack with --seq-len 16")) << refusal;  // the folder decides over its positions
  std::filesystem::remove_all(bert.output);
  config.init_from = first_run(config::Arch::kModern).output + "/model";
  EXPECT_EQ(run(config).tokens, 8 * 32);
  EXPECT_EQ(checkpoint::open_model_directory(config.output + "/model").shape.max_positions, 32);
}

}  // namespace
}  // namespace bertcram::train
