#include "bertcram/train/bench.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/nn/fused.h"
#include "bertcram/plan/workload.h"
#include "bertcram/train/masked_lm.h"
#include "bertcram/train/runtime.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/out_of_memory.h"
#include "bertcram/util/random.h"
#include "bertcram/util/scratch_folder.h"
#include "bertcram/util/text.h"
#include "micro_batch.h"
#include "operation_times.h"
#include "roofline.h"
#include "train_step.h"
#include "training_state.h"

namespace bertcram::train {
namespace {

constexpr int kWarmUpSteps = 2;
// The first ids of the vocabulary, as in tokenizers of bertcram.
constexpr text::SpecialTokens kSpecial = {.pad = 0, .unk = 1, .cls = 2, .sep = 3, .mask = 4};
constexpr int64_t kOrdinaryIds = 5;

/// A shard of random rows in a folder that goes away with the object.
class RandomRows {
 public:
  RandomRows(int64_t rows, const BenchOptions& options) : folder_("bench") {
    manifest_.seq_len = options.seq_len;
    manifest_.vocab_size = options.vocab_size;
    const data::ShardShape shape = {
        .seq_len = options.seq_len, .bytes_per_id = data::bytes_per_id(options.vocab_size), .tokenizer_hash = 0};
    data::ShardWriter writer(folder_.path() / "train-00000.bin", shape);
    util::RandomStream random(/*seed=*/0, util::RandomPurpose::kMasking, {});
    std::vector<int32_t> row(static_cast<size_t>(options.seq_len));
    for (int64_t i = 0; i < rows; ++i) {
      for (int32_t& id : row) {
        id =
            static_cast<int32_t>(kOrdinaryIds + random.below(static_cast<uint64_t>(options.vocab_size - kOrdinaryIds)));
      }
      writer.add_row(row);
    }
    manifest_.tokenizer_fingerprint = "0000000000000000";
    manifest_.train_shards = {{.file = "train-00000.bin", .rows = rows, .header_hash = writer.commit()}};
    store_.emplace(folder_.path(), manifest_.train_shards, manifest_);
  }
  RandomRows(const RandomRows&) = delete;
  RandomRows& operator=(const RandomRows&) = delete;

  const data::RowStore& store() const { return *store_; }

 private:
  util::ScratchFolder folder_;
  data::PackedManifest manifest_;
  std::optional<data::RowStore> store_;
};

Spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return {.median = values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]),
          .min = values.front(),
          .max = values.back()};
}

std::vector<std::string> switches_of(const Runtime& runtime, const TrainStep& step) {
  std::vector<std::string> switches;
  if (runtime.device.is_cpu() && !nn::uses_fused()) {
    switches.emplace_back("BERTCRAM_FUSED=off");
  }
  if (runtime.device.is_cuda() && nn::uses_cuda_kernels()) {
    switches.emplace_back("BERTCRAM_CUDA_KERNELS=on");
  }
  if (step.records()) {
    switches.emplace_back("BERTCRAM_CUDA_GRAPHS=on");
  }
  return switches;
}

/// Steps of one number format and micro-batch size.
class Trial {
 public:
  Trial(const config::PretrainConfig& config, const model::EncoderShape& shape, const Runtime& runtime,
        const RandomRows& rows, const BenchContext& context)
      : config_(config),
        context_(context),
        batches_(rows.store(), masking_options(kSpecial, shape.vocab, config.mask), 0, data::RowOrder::kStored),
        state_(config, shape, runtime),
        step_(config_, runtime, batches_, state_) {
    step_.choose_passes(/*stored=*/{});
  }

  StepFigures step() {
    const StepSettings settings = {
        .learning_rate = config_.optim.learning_rate, .rows = config_.batch.rows, .mask_prob = config_.mask.mask_prob};
    const auto figures = step_.run(settings, context_.stop);
    if (!figures) {
      throw util::StoppedError(context_.stop, "bench: stopped");
    }
    return *figures;
  }

  TrainStep& train_step() { return step_; }
  const TrainingState& state() const { return state_; }

 private:
  const config::PretrainConfig config_;
  const BenchContext& context_;
  data::MaskedBatches batches_;
  TrainingState state_;
  TrainStep step_;
};

class Bench {
 public:
  Bench(const config::PretrainConfig& config, const BenchOptions& options, const BenchContext& context)
      : config_(config), options_(options), context_(context) {
    if (options_.seq_len > config_.model.max_positions) {
      config_.model.max_positions = options_.seq_len;
    }
  }

  BenchReport run() {
    BenchReport report;
    auto precisions = options_.precisions;
    if (precisions.empty()) {
      precisions = {config_.runtime.precision};
    }
    for (const auto precision : precisions) {  // one that cannot be is refused before the others are measured
      config_.runtime.precision = precision;
      require_fast_products(set_up_runtime(config_.runtime));
    }
    for (const auto precision : precisions) {
      config_.runtime.precision = precision;
      const Runtime runtime = set_up_runtime(config_.runtime);
      report.device = runtime.device.is_cpu() ? "cpu" : "cuda";
      report.threads = runtime.threads;
      const double roofline = measured_roofline(runtime);
      auto sizes = options_.micro_batches;
      if (sizes.empty()) {
        sizes = {rows_as_pretrain_has_them(runtime)};
      }
      for (const int64_t rows : sizes) {
        report.results.push_back(measure(runtime, rows, roofline, report));
      }
    }
    if (std::ranges::none_of(report.results, &std::string::empty, &BenchResult::failure)) {
      throw ResourceError("bench: no micro-batch fits the memory; try a smaller --micro-batch");
    }
    return report;
  }

 private:
  int64_t rows_as_pretrain_has_them(const Runtime& runtime) const {
    if (config_.batch.micro_rows > 0) {
      return config_.batch.micro_rows;
    }
    if (runtime.device.is_cpu()) {
      return plan::usual_rows_per_pass(options_.seq_len, config_.batch.rows);
    }
    const auto shape = model::make_shape(config_.model, options_.vocab_size, kSpecial.pad);
    const RandomRows rows(std::max(config_.batch.rows, kLeastRows), options_);
    return Trial(config_, shape, runtime, rows, context_).train_step().passes().rows;  // by trying
  }

  BenchResult measure(const Runtime& runtime, int64_t rows, double roofline, BenchReport& report) {
    BenchResult result = {.precision = name_of(runtime.compute_type), .micro_batch = rows, .roofline_flops = roofline};
    util::log_info("bench", cat(result.precision, ", ", rows, " rows per pass"));
    try {
      reset_peak_memory(runtime);
      fill(result, runtime, report);
      result.peak_memory_bytes = peak_memory_bytes(runtime);
    } catch (const std::exception& error) {
      if (!util::is_out_of_memory(error)) {
        throw;
      }
      result.failure = "out of memory";
    }
    return result;
  }

  void fill(BenchResult& result, const Runtime& runtime, BenchReport& report) {
    config::PretrainConfig config = config_;
    config.batch.rows = result.micro_batch * options_.passes;
    config.batch.micro_rows = result.micro_batch;
    config.mask.mask_prob = config_.mask.mean_prob();  // one rate for what runs and for what is counted
    config.mask.end_mask_prob = 0;
    const auto shape = model::make_shape(config.model, options_.vocab_size, kSpecial.pad);
    const RandomRows rows(std::max<int64_t>(config.batch.rows, kLeastRows), options_);
    Trial trial(config, shape, runtime, rows, context_);
    report.switches = switches_of(runtime, trial.train_step());
    report.parameters = trial.state().parameters.count();
    report.flops_per_token = trial.state().objective->flops_per_token(options_.seq_len);
    for (int i = 0; i < kWarmUpSteps; ++i) {
      trial.step();
    }
    const checkpoint::Passes passes = trial.train_step().passes();
    if (passes.rows == result.micro_batch) {
      result.recomputes = passes.recomputes;  // as configured, or because memory ran out
      time_steps(result, trial, report.flops_per_token);
    }
    const checkpoint::Passes last = trial.train_step().passes();
    if (last.rows != result.micro_batch ||
        last.recomputes != passes.recomputes) {  // times of other passes are mixed in
      result = {.precision = result.precision,
                .micro_batch = result.micro_batch,
                .failure = "out of memory",
                .roofline_flops = result.roofline_flops};
    }
  }

  void time_steps(BenchResult& result, Trial& trial, double flops_per_token) const {
    std::vector<double> rates;
    for (int64_t repeat = 0; repeat < options_.repeats; ++repeat) {
      const auto start = std::chrono::steady_clock::now();
      int64_t tokens = 0;
      for (int64_t step = 0; step < options_.steps; ++step) {
        tokens += trial.step().tokens;  // reads the loss: waits for the device
      }
      rates.push_back(static_cast<double>(tokens) /
                      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    result.tokens_per_second = spread_of(rates);
    result.mfu = result.tokens_per_second.median * flops_per_token / result.roofline_flops;
    trial.train_step().separate_phases();
    for (int64_t step = 0; step < options_.steps; ++step) {
      result.phases.add(trial.step().phases, 1.0 / static_cast<double>(options_.steps));
    }
    if (options_.with_operations) {
      const OperationTimes times;
      for (int64_t step = 0; step < options_.steps; ++step) {
        trial.step();
      }
      result.operations = OperationTimes::per_step(options_.steps);
    }
  }

  static std::string name_of(at::ScalarType type) {
    return type == at::kFloat ? "fp32" : type == at::kHalf ? "fp16" : "bf16";
  }

  static constexpr int64_t kLeastRows = 1024;

  config::PretrainConfig config_;
  const BenchOptions& options_;
  const BenchContext& context_;
};

}  // namespace

BenchReport run_bench(const config::PretrainConfig& config, const BenchOptions& options, const BenchContext& context) {
  if (const auto problems = config::model_contradictions(config); !problems.empty()) {
    throw ConfigError(util::join(problems, "\n"));
  }
  return Bench(config, options, context).run();
}

}  // namespace bertcram::train
