#pragma once
// A tiny packed folder and whole pretraining runs on it.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/train/pretrainer.h"
#include "data/packing_support.h"

namespace bertcram::test {

class PretrainTest : public ::testing::TestWithParam<config::Precision> {
 protected:
  PretrainTest() { pack_folder("packed", documents_); }

  /// Whatever was there before is replaced. @return its path
  std::string pack_folder(const std::string& name, const std::vector<std::string>& documents,
                          int64_t seq_len = 16) const {
    config::PackConfig options;
    options.input = {scratch_.write(name + ".txt", joined(documents)).string()};
    options.output = (scratch_ / name).string();
    options.seq_len = seq_len;
    options.overwrite = true;
    options.valid_frac = 0.1;
    options.threads = 1;
    pack(options);
    return options.output;
  }

  config::PretrainConfig config_for(const std::string& run,
                                    config::Precision precision = config::Precision::kFp32) const {
    config::PretrainConfig config;
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

  static train::PretrainResult run(const config::PretrainConfig& config, const util::StopFlag& stop = {},
                                   train::ResumeChoice resume = {}) {
    monitor::RunEvents nobody("pretrain", config.output, /*hook=*/"");
    return train::run_pretrain(
        config, {.stop = stop, .events = nobody, .progress = util::ProgressStyle::kQuiet, .resume = std::move(resume)});
  }

  /// Of all models of the run.
  static std::string weights_of(const config::PretrainConfig& config) {
    const std::filesystem::path generator = std::filesystem::path(config.output) / "generator/model.safetensors";
    return read_bytes(std::filesystem::path(config.output) / "model/model.safetensors") +
           (std::filesystem::exists(generator) ? read_bytes(generator) : "");
  }

  static std::filesystem::path checkpoints_of(const config::PretrainConfig& config) {
    return std::filesystem::path(config.output) / "checkpoints";
  }

  /// Takes a finished run back to where it had done `steps`: what a kill -9 right after that checkpoint leaves.
  static void forget_after(const config::PretrainConfig& config, int64_t steps) {
    for (const auto& checkpoint : checkpoint::list_checkpoints(checkpoints_of(config))) {
      if (checkpoint::read_state(checkpoint).step > steps) {
        std::filesystem::remove_all(checkpoint);
      }
    }
    for (const char* model : {"model", "generator"}) {
      std::filesystem::remove_all(std::filesystem::path(config.output) / model);
    }
  }

  /// The lines of metrics.jsonl without what a clock decides and without the starts.
  static std::vector<nlohmann::json> metrics_of(const config::PretrainConfig& config) {
    std::vector<nlohmann::json> lines;
    std::istringstream in(read_bytes(std::filesystem::path(config.output) / "metrics.jsonl"));
    for (std::string line; std::getline(in, line);) {
      auto parsed = nlohmann::json::parse(line);
      for (const char* key :
           {"elapsed_seconds", "tokens_per_second", "mfu", "memory_bytes", "load_share", "overhead_share"}) {
        parsed.erase(key);
      }
      if (!parsed.contains("event")) {
        lines.push_back(parsed);
      }
    }
    return lines;
  }

  ScratchDirectory scratch_;
  const std::vector<std::string> documents_ = random_documents(3, 120);  ///< of the folder that all runs read
};

}  // namespace bertcram::test
