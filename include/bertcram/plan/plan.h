#pragma once
// What fits, how fast it will be and how far a budget goes, before anything is trained.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/plan/machine.h"
#include "bertcram/plan/workload.h"

namespace bertcram::plan {

/// Predicted tokens per second of an optimizer step of `passes` passes.
double tokens_per_second(const Workload& workload, int64_t rows, int64_t passes, bool recomputes,
                         const Machine& machine);

/// What a budget comes to.
struct Reach {
  double seconds = 0;
  int64_t tokens = 0;
  int64_t steps = 0;
  double flops = 0;
  std::optional<double> epochs;          ///< passes over the training rows, if their number is known
  std::optional<double> kilowatt_hours;  ///< at the card's board power: the most it can be
};

/// Training of a GLUE task from the pretrained encoder.
struct TaskTime {
  std::string_view task;
  int64_t examples = 0;    ///< of its training set
  double mean_tokens = 0;  ///< per example
  double seconds = 0;
};

struct Plan {
  Machine machine;
  Workload workload;
  double calibration = 1;  ///< what `bench` measured on this machine as a share of what was predicted there
  std::optional<int64_t> largest_rows = {};  ///< per pass, of those in a step; nullopt: not even one row fits
  bool recomputes = false;
  int64_t micro_rows = 0;        ///< that pretrain would take
  MemoryNeed memory = {};        ///< with these
  double tokens_per_second = 0;  ///< of a step of batch.rows
  double mfu = 0;                ///< of such a step, share of the machine's rate for large products
  std::optional<Reach> reach = {};
  int64_t glue_epochs = 5;
  std::vector<TaskTime> glue = {};
  std::vector<std::string> advice = {};  ///< what to change, if it does not fit
};

struct PlanOptions {
  int64_t vocab_size = 32'768;
  int64_t seq_len = 128;
  std::optional<int64_t> train_rows = {};  ///< of the packed data
  int64_t glue_epochs = 5;
  int64_t glue_batch_examples = 16;  ///< of the fine-tuning protocol, as the next
  double glue_dropout = 0.1;
  double calibration = 1;
};

/// @param config  with model, objective, batch and, if it is set, budget
/// @throws ConfigError for a model that contradicts itself, or takes fewer tokens than a row has
Plan make_plan(const config::PretrainConfig& config, const PlanOptions& options, const Machine& machine);

}  // namespace bertcram::plan
