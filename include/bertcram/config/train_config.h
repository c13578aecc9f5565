#pragma once
// Configuration shared by everything that trains: model, optimizer, schedule, precision.

#include <array>
#include <string>
#include <string_view>

#include "bertcram/config/field.h"

namespace bertcram::config {

/// docs/models.md. bert: post-norm, learned positions (Devlin et al. 2019); modern: pre-norm, no biases, GeGLU, rotary
/// positions (Warner et al. 2024, ModernBERT).
enum class Arch { kBert, kModern };
constexpr std::array<std::string_view, 2> enum_words(Arch) { return {"bert", "modern"}; }

/// fp16 trains with a scaled loss (Micikevicius et al. 2018); for cards without bf16.
enum class Precision { kAuto, kFp32, kBf16, kFp16 };
constexpr std::array<std::string_view, 4> enum_words(Precision) { return {"auto", "fp32", "bf16", "fp16"}; }

enum class DeviceKind { kAuto, kCpu, kCuda };
constexpr std::array<std::string_view, 3> enum_words(DeviceKind) { return {"auto", "cpu", "cuda"}; }

/// Height above the end at share x of the way down: 1 - x; (1 + cos(pi x)) / 2; 1 - sqrt(x) (Hägele et al. 2024).
enum class Anneal { kLinear, kCosine, kSqrt };
constexpr std::array<std::string_view, 3> enum_words(Anneal) { return {"linear", "cosine", "sqrt"}; }

/// How weights start. All draw from N(0, init_std); `bert` stops there, as Hugging Face's BERT does. `short-run` also
/// starts position embeddings as sinusoids, key weights equal to query weights (attention begins on similar and near
/// tokens), and divides what writes into the residual stream by sqrt(2 layers) (Radford et al. 2019). `modern` is
/// ModernBERT's: cut off at two standard deviations, the same division, classifiers at hidden^-1/2.
enum class WeightInit { kShortRun, kBert, kModern };
constexpr std::array<std::string_view, 3> enum_words(WeightInit) { return {"short-run", "bert", "modern"}; }

/// Where the word embeddings start: at random, or where the neighbours of each token in the training data put them
/// (singular vectors of their mutual information; Levy & Goldberg 2014).
enum class WordEmbeddingStart { kCooccurrence, kRandom };
constexpr std::array<std::string_view, 2> enum_words(WordEmbeddingStart) { return {"cooccurrence", "random"}; }

/// Bounds of rope_theta, excluded: of what is trained and of what is read.
inline constexpr double kLeastRopeTheta = 1.0;
inline constexpr double kMostRopeTheta = 1e15;

/// Shape of the encoder. Defaults are BERT-base (Devlin et al. 2019) at the sequence length of this project.
struct ModelConfig {
  Arch arch = Arch::kBert;
  int64_t hidden = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t ffn = 3072;
  int64_t max_positions = 128;
  double dropout = 0.0;
  double init_std = 0.02;
  double layer_norm_eps = 1e-12;
  int64_t global_every = 1;
  int64_t local_attention = 128;
  double rope_theta = 10'000;
  WeightInit init = WeightInit::kShortRun;
  WordEmbeddingStart word_embeddings = WordEmbeddingStart::kCooccurrence;
  bool unigram_bias = true;

  void visit(FieldVisitor& v) {
    v("arch", arch, "architecture: bert (BertForMaskedLM) or modern (ModernBertForMaskedLM)");
    v("hidden", hidden, "width of the encoder, a multiple of heads", InRange{8, 65'536});
    v("layers", layers, "number of encoder layers", InRange{1, 1'000});
    v("heads", heads, "attention heads per layer", InRange{1, 1'000});
    v("ffn", ffn, "width of the feed-forward layer; modern: of each half of the gated one", InRange{8, 1'000'000});
    v("max_positions", max_positions, "longest sequence the model takes, in tokens", InRange{8, 1'000'000});
    v("dropout", dropout, "dropout of hidden states and attention in pretraining; 0 in one-epoch training",
      InRange{0.0, 0.9});
    v("global_every", global_every,
      "modern: every n-th layer sees the whole row, the others local_attention tokens; 1 = all see all",
      InRange{1, 1'000});
    v("local_attention", local_attention, "modern: tokens that a local layer sees, half of them on each side",
      InRange{2, 1'000'000});
    v("rope_theta", rope_theta, "modern: base of the rotary positions; more for longer rows", Above{kLeastRopeTheta});
    v("init_std", init_std, "standard deviation of the initial weights", Above{0.0});
    v("layer_norm_eps", layer_norm_eps, "epsilon inside the layer norms", Above{0.0});
    v("init", init,
      "how weights start: short-run helps attention to find its feet (docs/decisions.md); bert and modern are the "
      "originals");
    v("word_embeddings", word_embeddings,
      "where word embeddings start: cooccurrence takes seconds and saves millions of tokens (docs/benchmarks.md)");
    v("unigram_bias", unigram_bias,
      "start the output bias at each token's log-frequency in the training data, so that no steps are spent on it");
  }
};

/// What moves the matrices between hidden states; AdamW moves all else (docs/recipes.md).
enum class Algorithm { kAdamW, kMuon };
constexpr std::array<std::string_view, 2> enum_words(Algorithm) { return {"adamw", "muon"}; }

/// Newton-Schulz iterations of an update by Muon.
inline constexpr int64_t kMuonIterations = 5;

/// AdamW (Loshchilov & Hutter 2019) with bias correction; Muon (Jordan et al. 2024; Liu et al. 2025).
struct OptimConfig {
  Algorithm algorithm = Algorithm::kAdamW;
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-6;
  double muon_momentum = 0.95;
  double muon_rate_factor = 1.0;
  double weight_decay = 0.01;
  double table_weight_decay = 0.01;
  double clip_norm = 0.5;

  void visit(FieldVisitor& v) {
    v("algorithm", algorithm, "adamw; or muon, for the matrices between hidden states alone");
    v("learning_rate", learning_rate, "peak learning rate", Above{0.0});
    v("beta1", beta1, "decay of the first moment", InRange{0.0, 0.9999});
    v("beta2", beta2, "decay of the second moment", InRange{0.0, 0.99999});
    v("epsilon", epsilon, "added to the root of the second moment", Above{0.0});
    v("muon_momentum", muon_momentum, "muon: decay of the momentum", InRange{0.0, 0.9999});
    v("muon_rate_factor", muon_rate_factor, "muon: learning rate of the matrices as a multiple of learning_rate",
      Above{0.0});
    v("weight_decay", weight_decay, "decoupled weight decay of the matrices between hidden states", AtLeast{0.0});
    v("table_weight_decay", table_weight_decay, "that of embeddings and classifiers; biases and layer norms have none",
      AtLeast{0.0});
    v("clip_norm", clip_norm, "largest global gradient norm; 0 = no clipping", AtLeast{0.0});
  }
};

/// Learning rate over the share of the budget used: up to the peak, along it, then down. The schedules that go by names
/// (one-cycle, triangle, trapezoid, …) are settings of these (docs/recipes.md).
struct ScheduleConfig {
  double warmup_frac = 0.1;
  double hold_frac = 0.0;
  double start_frac = 0.0;
  double end_frac = 0.0;
  Anneal anneal = Anneal::kLinear;

  void visit(FieldVisitor& v) {
    v("warmup_frac", warmup_frac, "share of the budget until the peak learning rate", InRange{0.0, 1.0});
    v("hold_frac", hold_frac, "share of the budget at the peak after that", InRange{0.0, 1.0});
    v("start_frac", start_frac, "learning rate at the start as a share of the peak", InRange{0.0, 1.0});
    v("end_frac", end_frac, "learning rate at the end as a share of the peak", InRange{0.0, 1.0});
    v("anneal", anneal, "shape of the way down");
  }
};

/// Where and in which number format the arithmetic runs.
struct RuntimeConfig {
  DeviceKind device = DeviceKind::kAuto;
  Precision precision = Precision::kAuto;
  bool tf32 = false;
  bool fp16_accumulation = false;
  std::string memory_limit;
  int64_t threads = 0;

  void visit(FieldVisitor& v) {
    v("device", device, "where to compute; auto = the GPU if there is one", Untracked{});
    v("precision", precision, "number format of weights and activations; masters and sums are always fp32");
    v("tf32", tf32, "fp32 products on a GPU with 10 bits of mantissa: faster, less exact");
    v("fp16_accumulation", fp16_accumulation,
      "sums of fp16 products in fp16 on a GPU: twice the rate on GeForce cards; an experiment");
    v("memory_limit", memory_limit,
      "most memory to use, e.g. 8GiB: of the GPU, or on the CPU of the process; empty = all there is", Bytes{},
      Untracked{});
    v("threads", threads, "CPU threads; 0 = one per core (results are bit-exact for a fixed number)", InRange{0, 1024},
      Untracked{});
  }
};

}  // namespace bertcram::config
