// A whole run on a tiny packed folder: what it writes, computes and refuses.

#include "bertcram/train/pretrainer.h"

#include <gtest/gtest.h>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/model/encoder.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/train/masked_lm.h"
#include "bertcram/train/objective.h"
#include "train/batch_tensors.h"
#include "train/pretrain_support.h"

namespace bertcram::train {
namespace {

using config::PretrainConfig;
using test::contains;
using test::message_of;
using test::read_bytes;

using Pretrain = test::PretrainTest;

TEST_F(Pretrain, WritesWhatARunFolderPromises) {
  const auto config = config_for("run");
  const PretrainResult result = run(config);
  EXPECT_EQ(result.steps, 6);
  EXPECT_EQ(result.tokens, 6 * 8 * 16);
  ASSERT_TRUE(result.held_out.has_value());
  EXPECT_GT(result.held_out->masked_tokens, 0);
  for (const char* file : {"config.yaml", "metrics.jsonl", "run.log", "status.json", "model/config.json",
                           "model/model.safetensors", "model/tokenizer.json"}) {
    EXPECT_TRUE(std::filesystem::exists(scratch_ / "run" / file)) << file;
  }
  EXPECT_EQ(std::filesystem::read_symlink(scratch_ / "latest"), "run");
  EXPECT_EQ(nlohmann::json::parse(read_bytes(scratch_ / "run/status.json"))["state"], "finished");
  EXPECT_EQ(metrics_of(config).size(), 6U + 2U + 1U);  // steps, evaluations after 2 and 4, and the final one
}

TEST_F(Pretrain, EvaluationsGoOnWhenTheirDistanceIsChanged) {
  auto config = config_for("run");
  config.eval.every_steps = 1;
  run(config);
  forget_after(config, 2);
  config.eval.every_steps = 3;
  run(config);
  std::vector<int64_t> evaluated;
  for (const auto& line : metrics_of(config)) {
    if (line.contains("eval_loss")) {
      evaluated.push_back(line["step"]);
    }
  }
  EXPECT_EQ(evaluated, (std::vector<int64_t>{1, 2, 3, 6}));
}

TEST_F(Pretrain, MicroBatchesChangeNothingButRounding) {
  auto whole = config_for("whole");
  whole.model.dropout = 0.0;
  whole.batch.micro_rows = 8;
  run(whole);
  const auto a = metrics_of(whole);
  for (const int64_t micro_rows : {1, 2, 3, 5}) {  // those that do not divide the batch leave a smaller last pass
    SCOPED_TRACE(micro_rows);
    auto parts = config_for(cat("parts", micro_rows));
    parts.model.dropout = 0.0;
    parts.batch.micro_rows = micro_rows;
    run(parts);
    const auto b = metrics_of(parts);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i].contains("loss")) {
        EXPECT_NEAR(a[i]["loss"].get<double>(), b[i]["loss"].get<double>(), 1e-4) << i;
        EXPECT_NEAR(a[i]["grad_norm"].get<double>(), b[i]["grad_norm"].get<double>(), 1e-4) << i;
      }
    }
  }
}

// With a learning rate of nothing the model stays as it started, and every step shows the loss of its own samples: the rows
// in an order of chance, or as they are stored where the folder says that they are a curriculum.
TEST_F(Pretrain, StepNTrainsOnTheSamplesBehindThoseOfStepNMinusOne) {
  for (const auto& [order, name] :
       {std::pair(data::RowOrder::kShuffled, "shuffled"), std::pair(data::RowOrder::kStored, "curriculum")}) {
    auto config = config_for(name);
    config.model.dropout = 0.0;
    config.model.unigram_bias = false;
    config.model.word_embeddings = config::WordEmbeddingStart::kRandom;
    config.optim.learning_rate = 1e-30;
    config.mask.mask_prob = 0.3;
    const auto manifest_file = std::filesystem::path(config.data) / "manifest.json";
    auto edited = nlohmann::json::parse(test::read_bytes(manifest_file));
    edited["order"] = name;
    test::write_bytes(manifest_file, edited.dump());
    run(config);
    const auto manifest = data::read_packed_manifest(config.data);
    const data::RowStore rows(config.data, manifest.train_shards, manifest);
    const data::MaskedBatches batches(rows, masking_options(test::tiny_tokenizer().special(), 57, {.mask_prob = 0.3}),
                                      4, order);
    const auto shape = model::make_shape(config.model, 57, 0);
    nn::Parameters parameters(model::parameter_specs(shape, {}), at::kFloat, at::kCPU);
    parameters.initialise(4, shape.init_std);
    const auto objective = make_objective(config, shape, parameters);
    int64_t step = 0;
    for (const auto& line : metrics_of(config)) {
      if (line.contains("loss")) {
        const auto batch = batches.assemble(8 * step++, 8);
        const at::Tensor loss = objective->loss(tensors_of(batch, at::kCPU), /*mask_prob=*/0.3, {}).total;
        EXPECT_NEAR(line["loss"].get<double>(), loss.item<double>() / static_cast<double>(batch.targets.size()), 1e-5)
            << name << " " << step;
      }
    }
    EXPECT_EQ(step, 6);
  }
}

TEST_F(Pretrain, AFinishedRunIsLeftAsItIs) {
  const auto config = config_for("run");
  run(config);
  const auto written = std::filesystem::last_write_time(scratch_ / "run/model/model.safetensors");
  const auto metrics = read_bytes(scratch_ / "run/metrics.jsonl");
  const PretrainResult again = run(config);
  EXPECT_EQ(again.steps, 6);
  EXPECT_EQ(std::filesystem::last_write_time(scratch_ / "run/model/model.safetensors"), written);
  EXPECT_EQ(read_bytes(scratch_ / "run/metrics.jsonl"), metrics);
}

TEST_F(Pretrain, AFinishedRunIsScoredAgainOnTheRowsOfItsLastEvaluation) {
  const auto config = config_for("run");
  const int64_t of_all = run(config).held_out.value().masked_tokens;
  checkpoint::TrainState state = checkpoint::read_state(checkpoint::list_checkpoints(checkpoints_of(config))[0]);
  EXPECT_GT(state.final_evaluation_rows, 1);
  state.final_evaluation_rows = 1;  // as of a time budget that had no room for more
  checkpoint::update_state(checkpoints_of(config), state);
  EXPECT_LT(run(config).held_out.value().masked_tokens, of_all);
}

TEST_F(Pretrain, AnInterruptedLastEvaluationIsMadeUpOnAsManyRowsAsItWasToTake) {
  auto config = config_for("run");
  config.budget = {.time = "1s"};
  const PretrainResult all = run(config);
  checkpoint::TrainState state = checkpoint::read_state(checkpoint::list_checkpoints(checkpoints_of(config))[0]);
  EXPECT_GT(state.final_evaluation_rows, 1);
  state.final_evaluation_step = -1;
  state.final_evaluation_rows = 1;
  checkpoint::update_state(checkpoints_of(config), state);
  const PretrainResult made_up = run(config);
  EXPECT_EQ(made_up.steps, all.steps);
  EXPECT_LT(made_up.held_out.value().masked_tokens, all.held_out.value().masked_tokens);
  EXPECT_GT(made_up.elapsed_seconds, state.elapsed_seconds);
}

TEST_F(Pretrain, OtherSettingsOrOtherDataAreRefusedByName) {
  const auto config = config_for("run");
  run(config);
  auto other = config;
  other.optim.learning_rate = 0.5;
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { run(other); }), "optim.learning_rate: 0.001 -> 0.5"));
  auto untracked = config;
  untracked.log_every_steps = 3;
  EXPECT_NO_THROW(run(untracked));
  pack_folder("packed", documents_, /*seq_len=*/12);
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { run(config); }), "is not the data"));
}

TEST_F(Pretrain, ResumeNeverAndResumeFromAPathDoWhatTheySay) {
  const auto config = config_for("run");
  run(config);
  const std::string expected = weights_of(config);
  const auto metrics = metrics_of(config);
  EXPECT_THROW(run(config, {}, {.kind = ResumeChoice::Kind::kNever, .path = {}}), ConfigError);
  const auto third = checkpoint::list_checkpoints(checkpoints_of(config))[3];
  EXPECT_EQ(checkpoint::read_state(third).step, 3);
  for (const auto& typed : {third, third / ""}) {  // as it is, and as shells complete it
    run(config, {}, {.kind = ResumeChoice::Kind::kPath, .path = typed});
    EXPECT_TRUE(weights_of(config) == expected);
    EXPECT_EQ(metrics_of(config), metrics) << "every step once";
  }
  test::write_bytes(third / "state.json", "{}");
  EXPECT_THROW(run(config, {}, {.kind = ResumeChoice::Kind::kPath, .path = third}), DataError);
}

TEST_F(Pretrain, ACheckpointOfAnotherRunDoesNotReplaceARun) {
  const auto own = config_for("own");
  run(own);
  const auto other = config_for("other");
  run(other);
  const auto third = checkpoint::list_checkpoints(checkpoints_of(other))[3];
  const auto before = checkpoint::list_checkpoints(checkpoints_of(own));
  const ResumeChoice from_other = {.kind = ResumeChoice::Kind::kPath, .path = third};
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { run(own, {}, from_other); }), "holds a run of its own"));
  EXPECT_EQ(checkpoint::list_checkpoints(checkpoints_of(own)), before);
  const auto fresh = config_for("fresh");
  run(fresh, {}, from_other);
  EXPECT_TRUE(weights_of(fresh) == weights_of(other));
}

TEST_F(Pretrain, UnsuitableInputIsRefused) {
  auto config = config_for("run");
  config.model.max_positions = 8;
  const std::string refusal = message_of<ConfigError>([&] { run(config); });
  EXPECT_TRUE(contains(refusal, "max_positions 8"));
  EXPECT_TRUE(contains(refusal, "; give --set model.max_positions=")) << refusal;
  EXPECT_TRUE(refusal.ends_with(", or pack with --seq-len 8")) << refusal;
  config = config_for("run2");
  config.data = (scratch_ / "none").string();
  EXPECT_TRUE(contains(message_of<DataError>([&] { run(config); }), "no packed data here"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { run(config); }), "--output " + config.data + "'"));
  scratch_.write("texts/a.txt", "text");
  config.data = (scratch_ / "texts").string();
  EXPECT_TRUE(contains(message_of<DataError>([&] { run(config); }), "--output PACKED' in a new folder"));
  config = config_for("foreign");
  scratch_.write("foreign/precious.txt", "");
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { run(config); }), "holds no training run"));
  scratch_.write("foreign/checkpoints/step-0000000007/weights.bin", "");  // not one of ours
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { run(config); }), "holds no training run"));
}

TEST_F(Pretrain, DamagedShardsAreFoundBeforeTheFirstStep) {
  const auto config = config_for("run");
  const auto shard = scratch_ / "packed/train-00000.bin";
  std::string bytes = read_bytes(shard);
  bytes[200] ^= 1;
  test::write_bytes(shard, bytes);
  EXPECT_TRUE(contains(message_of<DataError>([&] { run(config); }), "checksum mismatch"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "run/metrics.jsonl"));
}

}  // namespace
}  // namespace bertcram::train
