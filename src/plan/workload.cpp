#include "bertcram/plan/workload.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "bertcram/model/parameter_specs.h"
#include "bertcram/nn/sizes.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::plan {
namespace {

using config::Arch;
using config::PretrainConfig;
using model::EncoderShape;

constexpr int64_t kFp32 = 4;  // bytes

int64_t bytes_per_number(config::Precision precision) { return precision == config::Precision::kFp32 ? kFp32 : 2; }

int64_t numbers_of(const std::vector<nn::ParameterSpec>& specs) {
  int64_t sum = 0;
  for (const nn::ParameterSpec& spec : specs) {
    sum += std::accumulate(spec.shape.begin(), spec.shape.end(), int64_t{1}, std::multiplies<>());
  }
  return sum;
}

/// Whether our products in bf16 take a weight of these widths.
bool can_pack(int64_t out, int64_t in) { return out % nn::kBf16WidthStep == 0 && in % nn::kBf16WidthStep == 0; }

/// Weights of linear maps; with the decoder's if there is one.
void add_linear_numbers(const Part& part, Workload& workload) {
  const EncoderShape& shape = part.shape;
  const auto add = [&](int64_t maps, int64_t out, int64_t in) {
    workload.linear_numbers += maps * out * in;
    workload.packed_numbers += can_pack(out, in) ? maps * out * in : 0;
  };
  add(shape.layers, 4 * shape.hidden, shape.hidden);  // query, key, value and what follows attention
  add(shape.layers, (shape.arch == Arch::kModern ? 2 : 1) * shape.ffn, shape.hidden);
  add(shape.layers, shape.hidden, shape.ffn);
  if (part.wanted.decoded > 0) {
    add(1, shape.hidden, shape.hidden);
    add(1, shape.vocab, shape.hidden);
  }
}

/// Of Muon's iterations (optim::orthogonalised): X·Xᵀ and its product with X, and the square of the former.
double muon_flops(const std::vector<nn::ParameterSpec>& specs) {
  double sum = 0;
  for (const nn::ParameterSpec& spec : specs) {
    if (spec.group == nn::Group::kMatrix) {
      const auto [shorter, longer] = std::minmax({spec.shape[0] / spec.blocks, spec.shape[1]});
      const auto m = static_cast<double>(shorter);
      const auto n = static_cast<double>(longer);
      sum += static_cast<double>(config::kMuonIterations * spec.blocks) * (4 * m * m * n + 2 * m * m * m);
    }
  }
  return sum;
}

void add_parameters(const std::vector<nn::ParameterSpec>& specs, config::Algorithm algorithm, Workload& workload) {
  workload.parameters = numbers_of(specs);
  workload.update_flops = algorithm == config::Algorithm::kMuon ? muon_flops(specs) : 0;
}

/// Numbers per token that a layer leaves for the backward pass: what its linear maps, norms, attention and activation read.
struct KeptByLayer {
  int64_t attention = 0;  ///< its input, query, key, value and output
  int64_t behind = 0;     ///< the rest, which the last layer has for wanted tokens only
};

KeptByLayer kept_by_layer(const EncoderShape& shape, const Machine& machine) {
  const int64_t hidden = shape.hidden;
  if (shape.arch == Arch::kBert) {
    return {.attention = 5 * hidden, .behind = 3 * hidden + 2 * shape.ffn};
  }
  if (machine.has_kernels) {
    return {.attention = 6 * hidden, .behind = 2 * hidden + 3 * shape.ffn};
  }
  // Where products sum gradients, attention in fp32 is one kernel, which keeps no copies of queries and keys.
  return {.attention = (machine.sums_gradients ? 6 : 8) * hidden, .behind = 3 * hidden + 3 * shape.ffn};
}

/// The same of the states that enter the first layer, in bytes: the embeddings' sum is normalised in fp32.
int64_t embedding_bytes(const EncoderShape& shape, int64_t number) { return shape.hidden * (kFp32 + number); }

/// On a GPU, LibTorch's dropout keeps a mask: of what attention and the feed-forward layer add, or in `modern` of the gated
/// states. On a CPU it is drawn again.
int64_t mask_bytes(const Workload& workload, const EncoderShape& shape, const Machine& machine) {
  if (workload.dropout == 0 || !machine.is_gpu) {
    return 0;
  }
  return shape.hidden + (shape.arch == Arch::kModern ? shape.ffn : shape.hidden);
}

/// Whether LibTorch's attention on a GPU is a chain of products that keeps its probabilities, in fp32 whatever the precision: with
/// heads that are no multiple of 16 bytes. Flash attention pads them, but takes neither fp32 nor cards before Ampere, for which
/// fp16 stands here, nor a bias, which is left out of this.
bool is_plain_attention(const EncoderShape& shape, int64_t number, const Machine& machine) {
  constexpr int64_t kHeadBytes = 16;
  return machine.is_gpu && machine.precision != config::Precision::kBf16 &&
         shape.hidden / shape.heads * number % kHeadBytes != 0;
}

/// Per token, of attention that is a chain of products: its probabilities, and with dropout what is left of them and a mask.
/// On a CPU without own kernels it is one where there is dropout, which draws its mask again (nn::attention).
int64_t probability_bytes(const Workload& workload, const EncoderShape& shape, int64_t number, const Machine& machine) {
  const int64_t probabilities = workload.seq_len * shape.heads;
  if (is_plain_attention(shape, number, machine)) {
    return probabilities * (workload.dropout > 0 ? 2 * kFp32 + 1 : kFp32);
  }
  const bool is_one_kernel = machine.is_gpu || machine.has_kernels || machine.sums_gradients;
  return workload.dropout > 0 && !is_one_kernel ? probabilities * 2 * number : 0;
}

/// Whether the decoder's product adds to the gradient of the tied embeddings.
bool sums_decoder(const EncoderShape& shape, const Machine& machine) {
  return machine.sums_gradients && (!machine.has_product_kernels || can_pack(shape.vocab, shape.hidden));
}

/// Of the loss's LibTorch operations on a GPU, in forward: a chunk of the logits in fp32, and a second inside logsumexp. Where the
/// logits are fp32 there is the second alone, which is less than backward takes.
double loss_bytes(const Part& part, double tokens, const Machine& machine) {
  if (!machine.is_gpu || machine.has_kernels || machine.precision == config::Precision::kFp32) {
    return 0;
  }
  const double logits = part.most_wanted.decoded * tokens * static_cast<double>(part.shape.vocab);
  return 2 * kFp32 * std::min(logits, static_cast<double>(nn::kLossChunkCuda));
}

struct PassBytes {
  double kept = 0;  ///< per token, of all layers
  double fullest_layer = 0;
  double head = 0;            ///< of the logits and what they are made of
  double head_workspace = 0;  ///< in backward
  double layer_workspace = 0;
};

/// Of one part. @param wanted  its own in the mean, or the most
PassBytes bytes_per_token(const Workload& workload, const Part& part, const model::WantedShares& wanted,
                          bool recomputes, const Machine& machine) {
  const EncoderShape& shape = part.shape;
  const int64_t number = bytes_per_number(machine.precision);
  const KeptByLayer numbers = kept_by_layer(shape, machine);
  const auto behind = static_cast<double>(numbers.behind * number + mask_bytes(workload, shape, machine));
  const auto layer = static_cast<double>(numbers.attention * number) + behind +
                     static_cast<double>(probability_bytes(workload, shape, number, machine));
  const auto layers = static_cast<double>(shape.layers);
  const double unwanted = (1 - wanted.states) * behind;
  const auto hidden_bytes = static_cast<double>(shape.hidden * number);
  const double logits = wanted.decoded * static_cast<double>(shape.vocab * number);
  return {.kept = static_cast<double>(embedding_bytes(shape, number)) +
                  (recomputes ? layers * hidden_bytes : layers * layer - unwanted),
          .fullest_layer = recomputes ? layer : 0,
          .head = logits + wanted.decoded * 4 * hidden_bytes,
          .head_workspace = sums_decoder(shape, machine) ? 0 : logits,
          .layer_workspace = static_cast<double>((3 * shape.ffn + 2 * shape.hidden) * number)};
}

}  // namespace

Workload pretraining(const PretrainConfig& config, int64_t vocab, int64_t seq_len) {
  if (const auto problems = config::model_contradictions(config); !problems.empty()) {
    throw ConfigError(util::join(problems, "\n"));
  }
  EncoderShape shape = model::make_shape(config.model, vocab, /*pad_id=*/0);
  shape.max_positions = std::max(shape.max_positions, seq_len);  // as bench does; make_plan refuses it
  Workload workload = {.parts = {}, .seq_len = seq_len, .dropout = config.model.dropout};
  const auto masked_lm = [&](const EncoderShape& of) {
    const double mean = config.mask.mean_prob();
    const double most = config.mask.largest_prob();
    return Part{
        .shape = of, .wanted = {.states = mean, .decoded = mean}, .most_wanted = {.states = most, .decoded = most}};
  };
  if (config.objective == config::Objective::kRtd) {
    const EncoderShape generator = model::generator_shape(config, shape);
    workload.parts = {masked_lm(generator), {.shape = shape}};
    add_parameters(model::replaced_token_specs(shape, generator), config.optim.algorithm, workload);
  } else {
    workload.parts = {masked_lm(shape)};
    add_parameters(model::parameter_specs(shape, {.kind = model::HeadKind::kMaskedLm}), config.optim.algorithm,
                   workload);
  }
  for (const Part& part : workload.parts) {
    add_linear_numbers(part, workload);
    workload.flops_per_token += model::flops_per_token(part.shape, seq_len, part.wanted);
  }
  return workload;
}

Workload fine_tuning(const EncoderShape& shape, double mean_tokens, double dropout) {
  constexpr int64_t kClasses = 2;  // most tasks have as many; their number does not show
  const model::WantedShares first_tokens = {.states = 1 / mean_tokens};
  const Part part = {.shape = shape, .wanted = first_tokens, .most_wanted = first_tokens};
  Workload workload = {.parts = {part}, .seq_len = std::lround(mean_tokens), .dropout = dropout};
  const model::Head head = {.kind = model::HeadKind::kClassifier, .outputs = kClasses};
  workload.parameters = numbers_of(model::parameter_specs(shape, head));
  add_linear_numbers(part, workload);
  workload.flops_per_token = model::flops_per_token(shape, workload.seq_len, first_tokens);
  return workload;
}

int64_t MemoryNeed::total() const {
  return driver_and_desktop + runtime + masters + gradients + moments + compute_copy + packed_weights + activations +
         workspace;
}

MemoryNeed memory_need(const Workload& workload, int64_t rows, bool recomputes, const Machine& machine) {
  const int64_t number = bytes_per_number(machine.precision);
  const auto tokens = static_cast<double>(rows * workload.seq_len);
  double kept = 0;
  double forward = 0;  // while the loss is computed
  double most = 0;     // per token in backward: at the head, or in a layer
  for (const Part& part : workload.parts) {
    const PassBytes bytes = bytes_per_token(workload, part, part.most_wanted, recomputes, machine);
    kept += bytes.kept;
    forward = std::max(forward, bytes.head * tokens + loss_bytes(part, tokens, machine));
    most = std::max({most, bytes.head + bytes.head_workspace, bytes.fullest_layer + bytes.layer_workspace});
  }
  // Of LibTorch's operations alone, the gradient of the tied embeddings is a table of its own.
  const EncoderShape& shape = workload.parts.front().shape;
  const int64_t table = sums_decoder(shape, machine) ? 0 : shape.vocab * shape.hidden * number;
  // In a process, not an allocator of a card: what LibTorch loads with its first step, and what is kept between the uses of a
  // block or held for a moment. Fitted to eight shapes (docs/benchmarks.md).
  constexpr int64_t kFirstStepBytes = int64_t{30} << 20;
  constexpr double kHeapShare = 1.15;
  const double heap = machine.is_gpu ? 1.0 : kHeapShare;
  kept *= heap;
  most *= heap;
  const int64_t backward = static_cast<int64_t>(most * tokens) + table;
  return {.driver_and_desktop = machine.reserved_bytes,
          .runtime = machine.own_bytes + (machine.is_gpu ? 0 : kFirstStepBytes),
          .masters = kFp32 * workload.parameters,
          .gradients = kFp32 * workload.parameters,
          .moments = 2 * kFp32 * workload.parameters,
          .compute_copy = number == kFp32 ? 0 : number * workload.parameters,
          .packed_weights = machine.has_product_kernels ? 2 * number * workload.packed_numbers : 0,
          .activations = static_cast<int64_t>(kept * tokens),
          .workspace = std::max(static_cast<int64_t>(forward), backward)};
}

int64_t rows_that_fit(const Workload& workload, int64_t most, bool recomputes, const Machine& machine) {
  const auto fits = [&](int64_t rows) {
    return memory_need(workload, rows, recomputes, machine).total() <= machine.memory_bytes;
  };
  int64_t least = 0;
  while (least < most) {
    const int64_t middle = least + (most - least + 1) / 2;
    fits(middle) ? least = middle : most = middle - 1;
  }
  return least;
}

int64_t usual_rows_per_pass(int64_t seq_len, int64_t most) {
  constexpr int64_t kTokens = 4096;
  return std::clamp<int64_t>(kTokens / seq_len, 1, most);
}

StepSeconds step_seconds(const Workload& workload, int64_t rows, int64_t passes, bool recomputes,
                         const Machine& machine) {
  // Shares of the large products' rate that a layer's reach; our kernels': less in narrow layers.
  constexpr double kKernelShare = 1.04;
  constexpr double kKernelWidth = 60;
  constexpr double kCpuShare = 0.80;
  constexpr double kGpuShare = 0.75;
  // How often what is kept of a token is read or written, in both directions.
  constexpr double kKernelTouches = 6;
  constexpr double kTouches = 12;
  constexpr double kRecomputedShare = 4.0 / 3;
  constexpr double kUpdateBytes = 38;  // AdamW in one pass, and the gradient's norm before it
  constexpr double kPlainUpdateBytes = 62;
  // Of LibTorch's operations and autograd, in both directions, one after the other on the host. From an H100's (bench/results/
  // gpu_check_h100.json): a pass of 4 layers took 7.7 ms, one of 12 20.3 and one of 16 26.8, whatever the GPU.
  constexpr double kLaunchSecondsPerLayer = 1.56e-3;
  constexpr double kLaunchSecondsPerPass = 1.4e-3;
  const auto width = static_cast<double>(workload.parts.back().shape.hidden);
  const double share = machine.has_product_kernels ? kKernelShare * width / (width + kKernelWidth)
                       : machine.is_gpu            ? kGpuShare
                                                   : kCpuShare;
  const double again = recomputes ? kRecomputedShare : 1.0;
  const auto all_passes = static_cast<double>(passes);
  const double tokens = all_passes * static_cast<double>(rows * workload.seq_len);
  const double number = static_cast<double>(bytes_per_number(machine.precision));
  double touched = 0;
  double launch_seconds = 0;
  for (const Part& part : workload.parts) {
    const PassBytes bytes = bytes_per_token(workload, part, part.wanted, /*recomputes=*/false, machine);
    touched += (bytes.kept + bytes.head) * (machine.has_kernels ? kKernelTouches : kTouches);
    launch_seconds += kLaunchSecondsPerPass + kLaunchSecondsPerLayer * static_cast<double>(part.shape.layers);
  }
  // Each pass reads the weights twice and adds to their fp32 gradients; own products pack theirs once per step.
  const double per_pass = static_cast<double>(workload.linear_numbers) * (2 * number + 2 * kFp32);
  const double per_step = machine.has_product_kernels ? static_cast<double>(workload.packed_numbers) * 4 * number : 0;
  StepSeconds seconds = {
      .products = again * tokens * workload.flops_per_token / (share * machine.flops),
      .memory = (again * tokens * touched + all_passes * per_pass + per_step) / machine.bytes_per_second,
      .update = static_cast<double>(workload.parameters) * (machine.has_kernels ? kUpdateBytes : kPlainUpdateBytes) /
                    machine.bytes_per_second +
                workload.update_flops / (share * machine.flops)};
  if (machine.is_gpu) {
    seconds.launches = std::max(0.0, again * all_passes * launch_seconds - seconds.products - seconds.memory);
  }
  return seconds;
}

}  // namespace bertcram::plan
