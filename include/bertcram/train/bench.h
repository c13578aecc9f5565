#pragma once
// How fast this machine takes pretraining steps, and where their time goes.

#include <cstdint>
#include <string>
#include <vector>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/train/phase_seconds.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

struct BenchOptions {
  int64_t vocab_size = 32'768;
  int64_t seq_len = 128;                           ///< tokens per row
  std::vector<int64_t> micro_batches = {};         ///< rows per pass; empty = what `pretrain` would take
  std::vector<config::Precision> precisions = {};  ///< empty = the configuration's
  int64_t passes = 4;                              ///< per optimizer step
  int64_t steps = 1;                               ///< per repetition
  int64_t repeats = 5;
  bool with_operations = false;  ///< also the time of each operation, in steps of their own
};

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};

/// An operation by its name in LibTorch, without what it calls. CPU time of the threads that call it; on a GPU the time to
/// launch it.
struct OperationTime {
  std::string name;
  double seconds = 0;  ///< per optimizer step
  double calls = 0;    ///< likewise
};

/// One micro-batch size in one number format.
struct BenchResult {
  std::string precision;
  int64_t micro_batch = 0;   ///< rows per pass
  std::string failure = {};  ///< empty, or why there are no figures: not enough memory
  bool recomputes = false;   ///< activations: as configured, or because there was no memory without
  Spread tokens_per_second = {};
  double mfu = 0;                 ///< share of roofline_flops, at the median
  double roofline_flops = 0;      ///< floating-point operations per second of large matrix products on this machine
  int64_t peak_memory_bytes = 0;  ///< of the GPU's allocator, or resident memory of the process
  PhaseSeconds phases = {};       ///< per optimizer step
  std::vector<OperationTime> operations = {};  ///< longest first
};

struct BenchReport {
  std::string device;  ///< cpu or cuda
  int64_t threads = 0;
  std::vector<std::string> switches = {};  ///< of the environment that took effect, e.g. "BERTCRAM_FUSED=off"
  int64_t parameters = 0;
  double flops_per_token = 0;  ///< model::flops_per_token
  std::vector<BenchResult> results;
};

struct BenchContext {
  const util::StopFlag& stop;
};

/// Trains on rows of random tokens, through the data path, step and optimizer of `pretrain`: repeats × steps timed steps
/// after two that are not, for every precision and micro-batch size.
/// @param config  model, masking (a schedule at its mean), optimizer, runtime and batch: rows and micro_rows where `options`
/// name no micro-batch, recompute always; data, output and budget are not looked at
/// @throws ConfigError for a model or options that contradict each other; ResourceError if no size fits the memory
BenchReport run_bench(const config::PretrainConfig& config, const BenchOptions& options, const BenchContext& context);

}  // namespace bertcram::train
