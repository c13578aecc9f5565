// A whole run on a tiny packed folder: it resumes bit for bit, whatever ended it.

#include "bertcram/train/pretrainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/model/bert.h"
#include "bertcram/train/masked_lm.h"
#include "data/packing_support.h"

namespace bertcram::train {
namespace {

using config::PretrainConfig;
using test::contains;
using test::message_of;
using test::read_bytes;

class PretrainTest : public ::testing::TestWithParam<config::Precision> {
 protected:
  PretrainTest() {
    config::PackConfig pack;
    pack.input = {scratch_.write("text", test::joined(test::random_documents(3, 120))).string()};
    pack.output = (scratch_ / "packed").string();
    pack.seq_len = 16;
    pack.valid_frac = 0.1;
    pack.threads = 1;
    test::pack(pack);
  }

  PretrainConfig config_for(const std::string& run, config::Precision precision = config::Precision::kFp32) const {
    PretrainConfig config;
    config.data = (scratch_ / "packed").string();
    config.output = (scratch_ / run).string();
    config.seed = 4;
    config.log_every_steps = 1;
    config.runtime = {.device = config::DeviceKind::kCpu, .precision = precision, .threads = 1};
    config.model.hidden = 16;
    config.model.layers = 2;
    config.model.heads = 2;
    config.model.ffn = 32;
    config.model.max_positions = 16;
    config.model.dropout = 0.1;  // its draws must resume too
    config.batch = {.rows = 8, .micro_rows = 4};
    config.budget.steps = 6;
    config.checkpoint = {.every_steps = 1, .every_time = "", .keep = 10};
    config.eval = {.every_steps = 2, .rows = 4};
    return config;
  }

  static PretrainResult run(const PretrainConfig& config, const util::StopFlag& stop = {}, ResumeChoice resume = {}) {
    return run_pretrain(config, {.stop = stop, .progress = util::ProgressStyle::kQuiet, .resume = std::move(resume)});
  }

  static std::string weights_of(const PretrainConfig& config) {
    return read_bytes(std::filesystem::path(config.output) / "model/model.safetensors");
  }

  static std::filesystem::path checkpoints_of(const PretrainConfig& config) {
    return std::filesystem::path(config.output) / "checkpoints";
  }

  /// Takes a finished run back to where it had done `steps`: what a kill -9 right after that checkpoint leaves.
  static void forget_after(const PretrainConfig& config, int64_t steps) {
    for (const auto& checkpoint : checkpoint::list_checkpoints(checkpoints_of(config))) {
      if (checkpoint::read_state(checkpoint).step > steps) {
        std::filesystem::remove_all(checkpoint);
      }
    }
    std::filesystem::remove_all(std::filesystem::path(config.output) / "model");
  }

  /// The lines of metrics.jsonl without what a clock decides and without the starts.
  static std::vector<nlohmann::json> metrics_of(const PretrainConfig& config) {
    std::vector<nlohmann::json> lines;
    std::istringstream in(read_bytes(std::filesystem::path(config.output) / "metrics.jsonl"));
    for (std::string line; std::getline(in, line);) {
      auto parsed = nlohmann::json::parse(line);
      for (const char* key : {"elapsed_seconds", "tokens_per_second", "memory_bytes"}) {
        parsed.erase(key);
      }
      if (!parsed.contains("event")) {
        lines.push_back(parsed);
      }
    }
    return lines;
  }

  test::ScratchDirectory scratch_;
};

class PretrainResume : public PretrainTest {};
INSTANTIATE_TEST_SUITE_P(Fp32AndBf16, PretrainResume,
                         ::testing::Values(config::Precision::kFp32, config::Precision::kBf16),
                         [](const auto& chosen) { return chosen.param == config::Precision::kFp32 ? "fp32" : "bf16"; });

TEST_P(PretrainResume, ARunThatWasCutOffAnywhereEndsInTheSameBytes) {
  const auto whole = config_for("whole", GetParam());
  run(whole);
  const std::string expected = weights_of(whole);
  const auto expected_metrics = metrics_of(whole);
  ASSERT_FALSE(expected.empty());
  for (const int64_t steps : {5, 3, 1, 0}) {
    const auto cut = config_for(cat("cut", steps), GetParam());
    run(cut);
    forget_after(cut, steps);
    EXPECT_EQ(run(cut).steps, 6);
    EXPECT_TRUE(weights_of(cut) == expected) << "cut after " << steps;
    EXPECT_EQ(metrics_of(cut), expected_metrics) << "cut after " << steps;
  }
}

TEST_P(PretrainResume, AStoppedRunContinuesToTheSameBytes) {
  auto whole = config_for("whole", GetParam());
  whole.batch.micro_rows = 8;  // one pass per step, which a stop does not cut short
  run(whole);
  auto stopped = config_for("stopped", GetParam());
  stopped.batch.micro_rows = 8;
  run(stopped);
  forget_after(stopped, 1);
  for (int64_t step = 2; step <= 6; ++step) {
    util::StopFlag stop;
    stop.request(SIGTERM);  // before it starts: each session does one step, writes a checkpoint and ends
    try {
      run(stopped, stop);
      FAIL() << "not stopped";
    } catch (const util::StoppedError& error) {
      EXPECT_EQ(static_cast<int>(error.code()), 143);
    }
    EXPECT_EQ(checkpoint::read_state(checkpoint::list_checkpoints(checkpoints_of(stopped))[0]).step, step);
  }
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(stopped.output) / "model"));  // the last evaluation is due
  run(stopped);
  EXPECT_TRUE(weights_of(stopped) == weights_of(whole));
}

TEST_P(PretrainResume, AnEvaluationThatAStopCutOffIsMadeUpFor) {
  auto whole = config_for("whole", GetParam());
  whole.batch.micro_rows = 8;  // one pass per step, which a stop does not cut short
  run(whole);
  auto stopped = config_for("stopped", GetParam());
  stopped.batch.micro_rows = 8;
  run(stopped);
  forget_after(stopped, 1);
  util::StopFlag stop;
  stop.request(SIGTERM);
  EXPECT_THROW(run(stopped, stop), util::StoppedError);  // after step 2, when an evaluation is due
  EXPECT_EQ(metrics_of(stopped).size(), 2U);
  run(stopped);
  EXPECT_EQ(metrics_of(stopped), metrics_of(whole));
}

TEST_P(PretrainResume, AStopBetweenTwoPassesGivesTheStepUp) {
  const auto whole = config_for("whole", GetParam());  // two passes per step
  run(whole);
  const auto stopped = config_for("stopped", GetParam());
  run(stopped);
  forget_after(stopped, 3);
  const auto saved = checkpoint::list_checkpoints(checkpoints_of(stopped)).front();
  const std::string before = read_bytes(saved / "weights.safetensors");
  util::StopFlag stop;
  stop.request(SIGTERM);
  EXPECT_THROW(run(stopped, stop), util::StoppedError);
  EXPECT_EQ(checkpoint::list_checkpoints(checkpoints_of(stopped)).front(), saved);
  EXPECT_TRUE(read_bytes(saved / "weights.safetensors") == before);
  run(stopped);
  EXPECT_TRUE(weights_of(stopped) == weights_of(whole));
}

TEST_P(PretrainResume, AFinishedRunWhoseModelIsDamagedWritesItAgain) {
  const auto config = config_for("run", GetParam());
  run(config);
  const auto model = std::filesystem::path(config.output) / "model";
  const std::string weights = weights_of(config);
  for (const char* file : {"model.safetensors", "config.json", "tokenizer.json"}) {
    SCOPED_TRACE(file);
    const std::string content = read_bytes(model / file);
    std::string damaged = content;
    damaged[damaged.size() / 2] ^= 0x10;
    test::write_bytes(model / file, damaged);
    run(config);
    EXPECT_TRUE(std::string_view(file) == "config.json" || read_bytes(model / file) == content);
    std::filesystem::remove(model / file);
    run(config);
    EXPECT_TRUE(read_bytes(model / file) == content);
  }
  EXPECT_TRUE(weights_of(config) == weights);
}

TEST_P(PretrainResume, AStopFromAnotherThreadLosesNothing) {
  const auto whole = config_for("whole", GetParam());
  run(whole);
  auto stopped = config_for("stopped", GetParam());
  stopped.checkpoint.every_steps = 0;
  util::StopFlag stop;
  std::jthread stopper([&] {
    while (!std::filesystem::exists(std::filesystem::path(stopped.output) / "status.json")) {
      std::this_thread::yield();
    }
    stop.request(SIGINT);
  });
  try {
    run(stopped, stop);
  } catch (const util::StoppedError&) {
    EXPECT_FALSE(checkpoint::list_checkpoints(checkpoints_of(stopped)).empty());
  }
  run(stopped);
  EXPECT_TRUE(weights_of(stopped) == weights_of(whole));
}

TEST_P(PretrainResume, ADamagedCheckpointIsSkippedAndReplaced) {
  const auto whole = config_for("whole", GetParam());
  run(whole);
  for (const char* file : {"weights.safetensors", "second_moments.safetensors", "state.json"}) {
    const auto damaged = config_for(cat("damaged-", file), GetParam());
    run(damaged);
    forget_after(damaged, 4);
    const auto newest = checkpoint::list_checkpoints(checkpoints_of(damaged))[0];
    test::write_bytes(newest / file, read_bytes(newest / file).substr(1));
    run(damaged);
    EXPECT_TRUE(weights_of(damaged) == weights_of(whole)) << file;
    EXPECT_NO_THROW(checkpoint::read_state(newest)) << file;
  }
}

TEST_P(PretrainResume, WithNothingButDamagedCheckpointsARunIsRefusedUntilTheyAreRemoved) {
  const auto whole = config_for("whole", GetParam());
  run(whole);
  const auto damaged = config_for("damaged", GetParam());
  run(damaged);
  forget_after(damaged, 1);
  const auto only = checkpoint::list_checkpoints(checkpoints_of(damaged))[0];
  test::write_bytes(only / "second_moments.safetensors", "nothing");
  EXPECT_THROW(run(damaged), DataError);
  std::filesystem::remove_all(checkpoints_of(damaged));
  run(damaged);
  EXPECT_TRUE(weights_of(damaged) == weights_of(whole));
}

TEST_P(PretrainResume, TheSameSeedGivesTheSameBytesAndAnotherOthers) {
  const auto first = config_for("first", GetParam());
  const auto second = config_for("second", GetParam());
  auto other = config_for("other", GetParam());
  other.seed = 5;
  run(first);
  run(second);
  run(other);
  EXPECT_TRUE(weights_of(first) == weights_of(second));
  EXPECT_FALSE(weights_of(first) == weights_of(other));
}

using Pretrain = PretrainTest;

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

// With a learning rate of nothing the model stays as it started, and every step shows the loss of its own samples.
TEST_F(Pretrain, StepNTrainsOnTheSamplesBehindThoseOfStepNMinusOne) {
  auto config = config_for("run");
  config.model.dropout = 0.0;
  config.model.unigram_bias = false;
  config.optim.learning_rate = 1e-30;
  config.mask.mask_prob = 0.3;
  run(config);
  const auto manifest = data::read_packed_manifest(config.data);
  const data::RowStore rows(config.data, manifest.train_shards, manifest);
  const data::MaskedBatches batches(rows, masking_options(test::tiny_tokenizer().special(), 57, 0.3), 4,
                                    data::MaskedBatches::Order::kShuffled);
  const auto shape = model::make_shape(config.model, 57, 0);
  nn::Parameters parameters(model::parameter_specs(shape, {}), at::kFloat, at::kCPU);
  parameters.initialise(4, shape.init_std);
  const model::Bert bert(shape, parameters);
  int64_t step = 0;
  for (const auto& line : metrics_of(config)) {
    if (line.contains("loss")) {
      const auto batch = batches.assemble(8 * step++, 8);
      const at::Tensor loss = masked_lm_loss(bert, batch, 0.0, at::kCPU);
      EXPECT_NEAR(line["loss"].get<double>(), loss.item<double>() / static_cast<double>(batch.targets.size()), 1e-5)
          << step;
    }
  }
  EXPECT_EQ(step, 6);
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

TEST_F(Pretrain, OtherSettingsOrOtherDataAreRefusedByName) {
  const auto config = config_for("run");
  run(config);
  auto other = config;
  other.optim.learning_rate = 0.5;
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { run(other); }), "optim.learning_rate: 0.001 -> 0.5"));
  auto untracked = config;
  untracked.log_every_steps = 3;
  EXPECT_NO_THROW(run(untracked));
  config::PackConfig pack;
  pack.input = {(scratch_ / "text").string()};
  pack.output = config.data;
  pack.seq_len = 12;
  pack.overwrite = true;
  test::pack(pack);
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { run(config); }), "is not the data"));
}

TEST_F(Pretrain, ResumeNeverAndResumeFromAPathDoWhatTheySay) {
  const auto config = config_for("run");
  run(config);
  const std::string expected = weights_of(config);
  EXPECT_THROW(run(config, {}, {.kind = ResumeChoice::Kind::kNever, .path = {}}), ConfigError);
  const auto third = checkpoint::list_checkpoints(checkpoints_of(config))[3];
  EXPECT_EQ(checkpoint::read_state(third).step, 3);
  run(config, {}, {.kind = ResumeChoice::Kind::kPath, .path = third});
  EXPECT_TRUE(weights_of(config) == expected);
  test::write_bytes(third / "state.json", "{}");
  EXPECT_THROW(run(config, {}, {.kind = ResumeChoice::Kind::kPath, .path = third}), DataError);
}

TEST_F(Pretrain, UnsuitableInputIsRefused) {
  auto config = config_for("run");
  config.model.max_positions = 8;
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { run(config); }), "max_positions 8"));
  config = config_for("run2");
  config.data = (scratch_ / "none").string();
  EXPECT_TRUE(contains(message_of<DataError>([&] { run(config); }), "no packed data here"));
  config = config_for("foreign");
  scratch_.write("foreign/precious.txt", "");
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

TEST_F(Pretrain, ADivergedRunSaysSo) {
  auto config = config_for("run");
  config.optim = {.learning_rate = 1e30, .clip_norm = 0.0};
  config.schedule.warmup_frac = 0.0;
  config.budget.steps = 50;
  EXPECT_TRUE(contains(message_of<DivergedError>([&] { run(config); }), "lower optim.learning_rate"));
}

}  // namespace
}  // namespace bertcram::train
