#pragma once
// What training a configuration asks of a machine: numbers that are kept, bytes and operations per token.

#include <cstdint>
#include <vector>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/model/shape.h"
#include "bertcram/plan/machine.h"

namespace bertcram::plan {

/// One encoder that every token goes through.
struct Part {
  model::EncoderShape shape;
  model::WantedShares wanted = {};       ///< in the mean over the run: what takes time
  model::WantedShares most_wanted = {};  ///< in the fullest passes: what takes memory
};

struct Workload {
  std::vector<Part> parts;  ///< one, or generator and discriminator
  int64_t seq_len = 128;
  int64_t parameters = 0;      ///< trainable numbers
  int64_t linear_numbers = 0;  ///< of weights of linear maps
  int64_t packed_numbers = 0;  ///< of those that own products in bf16 keep in two layouts of their own
  double flops_per_token = 0;  ///< model::flops_per_token
  double update_flops = 0;     ///< of products in the optimizer's update: Muon's
  double dropout = 0;
};

/// Of pretraining. @throws ConfigError as model_contradictions lists them
Workload pretraining(const config::PretrainConfig& config, int64_t vocab, int64_t seq_len);

/// Of fine-tuning the encoder for a GLUE task whose examples have so many tokens in the mean, padding left out.
Workload fine_tuning(const model::EncoderShape& shape, double mean_tokens, double dropout);

/// Bytes by what they are for.
struct MemoryNeed {
  int64_t driver_and_desktop = 0;  ///< Machine::reserved_bytes
  int64_t runtime = 0;             ///< Machine::own_bytes
  int64_t masters = 0;             ///< fp32 weights
  int64_t gradients = 0;           ///< fp32
  int64_t moments = 0;             ///< fp32, of the optimizer
  int64_t compute_copy = 0;        ///< weights in the compute type
  int64_t packed_weights = 0;      ///< own products' layouts of them
  int64_t activations = 0;         ///< that the backward pass reads
  int64_t workspace = 0;           ///< what a pass needs beside at its fullest moment
  int64_t total() const;
};

/// At the fullest moment of a pass of so many rows.
MemoryNeed memory_need(const Workload& workload, int64_t rows, bool recomputes, const Machine& machine);

/// Most rows per pass, up to `most`, that fit the machine's memory; 0 if not even one does.
int64_t rows_that_fit(const Workload& workload, int64_t most, bool recomputes, const Machine& machine);

/// What pretraining on a CPU takes by itself: some 4,096 tokens, beyond which nothing is gained.
int64_t usual_rows_per_pass(int64_t seq_len, int64_t most);

/// Of an optimizer step of `passes` passes. The model: products at a share of the machine's rate, everything else at its
/// memory's (docs/performance.md has what this was fitted to and how far it is off).
struct StepSeconds {
  double products = 0;
  double memory = 0;    ///< activations, norms, additions, weights and their gradients
  double update = 0;    ///< by the optimizer
  double launches = 0;  ///< of a GPU's kernels, where they take longer than the kernels
  double total() const { return products + memory + update + launches; }
};
StepSeconds step_seconds(const Workload& workload, int64_t rows, int64_t passes, bool recomputes,
                         const Machine& machine);

}  // namespace bertcram::plan
