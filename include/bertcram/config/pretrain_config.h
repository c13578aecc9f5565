#pragma once

#include "bertcram/config/train_config.h"

namespace bertcram::config {

/// Masked-language-model corruption (Devlin et al. 2019, §3.1).
struct MaskConfig {
  double mask_prob = 0.15;
  double end_mask_prob = 0.0;
  double mask_share = 0.8;
  double random_share = 0.1;

  /// Of mask_prob, over the run.
  double mean_prob() const { return 0.5 * (mask_prob + (end_mask_prob > 0 ? end_mask_prob : mask_prob)); }
  /// Of the fullest passes.
  double largest_prob() const { return end_mask_prob > mask_prob ? end_mask_prob : mask_prob; }
  bool is_scheduled() const { return end_mask_prob > 0 && end_mask_prob != mask_prob; }

  void visit(FieldVisitor& v) {
    v("mask_prob", mask_prob, "share of a row's tokens that are predicted; the same number in every row",
      InRange{0.01, 0.9});
    v("end_mask_prob", end_mask_prob,
      "the same at the end of the budget, linear in between (Ankner et al. 2024: 0.30 to 0.15); 0 = as at the start",
      InRange{0.0, 0.9});
    v("mask_share", mask_share, "share of the predicted tokens replaced by [MASK]", InRange{0.0, 1.0});
    v("random_share", random_share, "share of the predicted tokens replaced by a random one; the rest stays",
      InRange{0.0, 1.0});
  }
};

/// What is minimised: masked language modelling, or replaced-token detection with a small generator.
enum class Objective { kMlm, kRtd };
constexpr std::array<std::string_view, 2> enum_words(Objective) { return {"mlm", "rtd"}; }

/// Replaced-token detection (Clark et al. 2020): a generator, which is a masked LM with the embeddings of the model, fills
/// in the masked tokens; the model learns to tell which tokens are not the original ones.
struct RtdConfig {
  int64_t generator_layers = 0;
  double discriminator_weight = 50.0;

  void visit(FieldVisitor& v) {
    v("generator_layers", generator_layers, "encoder layers of the generator; 0 = a third of model.layers",
      InRange{0, 1'000});
    v("discriminator_weight", discriminator_weight,
      "weight of the discriminator's mean loss per token against the generator's per masked token", Above{0.0});
  }
};

struct BatchConfig {
  int64_t rows = 2048;
  int64_t start_rows = 0;
  double ramp_frac = 0.5;
  int64_t micro_rows = 0;
  bool recompute = false;

  /// Of the optimizer step that begins at `share` of the budget: from start_rows to rows over ramp_frac, in steps of start_rows.
  int64_t rows_at(double share) const;

  void visit(FieldVisitor& v) {
    v("rows", rows, "rows per optimizer step (the effective batch)", InRange{1, 1'000'000});
    v("start_rows", start_rows, "rows of the first steps, growing by as many at a time; 0 = rows from the start",
      InRange{0, 1'000'000});
    v("ramp_frac", ramp_frac, "share of the budget over which the batch grows from start_rows to rows",
      InRange{0.0, 1.0});
    v("micro_rows", micro_rows,
      "rows per forward and backward pass; changes memory, speed and random draws (dropout, rtd) only; auto = as many "
      "as fit and make it faster",
      InRange{0, 1'000'000}, ZeroIsAuto{}, Untracked{});
    v("recompute", recompute,
      "compute each layer's activations again in the backward pass: less memory, a third more time, equal gradients",
      Untracked{});
  }
};

/// Exactly one of the three ends the run.
struct BudgetConfig {
  std::string time;
  int64_t steps = 0;
  int64_t tokens = 0;

  void visit(FieldVisitor& v) {
    v("time", time, "training time of all sessions together, e.g. 100h", Duration{}, Alternative{});
    v("steps", steps, "optimizer steps; 0 = not set", AtLeast{0}, Alternative{});
    v("tokens", tokens, "trained tokens, e.g. 300M or 2.3e9; 0 = not set", AtLeast{0}, Alternative{});
  }
};

struct CheckpointConfig {
  int64_t every_steps = 0;
  std::string every_time = "15m";
  int64_t keep = 2;
  bool keep_best = false;
  std::string keep_every;

  void visit(FieldVisitor& v) {
    v("every_steps", every_steps, "steps between checkpoints; 0 = by time only", AtLeast{0}, Untracked{});
    v("every_time", every_time, "time between checkpoints", Duration{}, Untracked{});
    v("keep", keep, "newest checkpoints that are kept", AtLeast{1}, Untracked{});
    v("keep_best", keep_best, "also keep the one with the lowest held-out loss", Untracked{});
    v("keep_every", keep_every, "also keep the first of each such stretch of training time, e.g. 24h", Duration{},
      Untracked{});
  }
};

struct HeldOutConfig {
  int64_t every_steps = 0;
  int64_t rows = 256;

  void visit(FieldVisitor& v) {
    v("every_steps", every_steps, "steps between held-out evaluations; 0 = twenty in the whole run", AtLeast{0},
      Untracked{});
    v("rows", rows, "rows of the validation set used during training, 15 % of the tokens masked; 0 = all", AtLeast{0},
      Untracked{});
  }
};

/// What is done about steps whose loss or gradient is not finite.
struct HealthConfig {
  int64_t max_skipped_steps = 10;

  void visit(FieldVisitor& v) {
    v("max_skipped_steps", max_skipped_steps,
      "steps without a finite gradient in a row, each of them skipped, until the run goes back to its last checkpoint "
      "with half the learning rate; the second time it ends (exit 5)",
      AtLeast{1});
  }
};

/// Options of `bertcram pretrain`.
struct PretrainConfig {
  std::string data;
  std::string output;
  std::string init_from;
  int64_t seed = 0;
  int64_t log_every_steps = 10;
  int64_t histograms_every_steps = 1000;
  std::string on_event;
  RuntimeConfig runtime;
  Objective objective = Objective::kMlm;
  ModelConfig model;
  RtdConfig rtd;
  MaskConfig mask;
  BatchConfig batch;
  BudgetConfig budget;
  OptimConfig optim;
  ScheduleConfig schedule;
  CheckpointConfig checkpoint;
  HeldOutConfig eval;
  HealthConfig health;

  void visit(FieldVisitor& v) {
    v("data", data, "folder made by 'bertcram pack'", Untracked{});
    v("output", output, "run folder; the same command continues the run in it", Untracked{});
    v("init_from", init_from,
      "model folder to go on from (bertcram's or Hugging Face's), with its shape and tokenizer; empty = from scratch");
    v("seed", seed, "seed of initialisation, order and masking", AtLeast{0});
    v("log_every_steps", log_every_steps, "steps between lines in metrics.jsonl", AtLeast{1}, Untracked{});
    v("histograms_every_steps", histograms_every_steps,
      "steps between histograms of each layer's weights and gradients in the event files for tensorboard; 0 = none",
      AtLeast{0}, Untracked{});
    v("on_event", on_event,
      "command for /bin/sh that gets a JSON object on its stdin when the run begins, is scored or ends; see "
      "docs/monitoring.md",
      Untracked{}, Private{});
    v.section("runtime", runtime);
    v("objective", objective, "what is minimised: mlm, masked language modelling; rtd, replaced-token detection");
    v.section("model", model);
    v.section("rtd", rtd);
    v.section("mask", mask);
    v.section("batch", batch);
    v.section("budget", budget);
    v.section("optim", optim);
    v.section("schedule", schedule);
    v.section("checkpoint", checkpoint);
    v.section("eval", eval);
    v.section("health", health);
  }
};

/// Rules between fields of the model and its objective; one line per violation.
std::vector<std::string> model_contradictions(const PretrainConfig& config);

/// Rules of a budget that may be missing.
std::vector<std::string> budget_contradictions(const BudgetConfig& budget);

/// Those of both, and the rules of a run, which has to have a budget.
std::vector<std::string> contradictions(const PretrainConfig& config);

}  // namespace bertcram::config
