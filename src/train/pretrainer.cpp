#include "bertcram/train/pretrainer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bertcram/config/resolve.h"
#include "bertcram/monitor/metrics_log.h"
#include "bertcram/train/masked_lm.h"
#include "bertcram/train/run_directory.h"
#include "bertcram/train/schedule.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "bertcram/util/version.h"
#include "data_start.h"
#include "resume.h"
#include "run_data.h"
#include "run_recorder.h"
#include "training_clock.h"
#include "training_state.h"

namespace bertcram::train {
namespace {

using config::PretrainConfig;
using nlohmann::json;
using util::log_info;

constexpr int64_t kDefaultEvaluations = 20;
constexpr double kLongStepShare = 0.05;
constexpr int64_t kNoStep = -1;

/// The training loop and what it needs at hand.
class Pretrainer {
 public:
  Pretrainer(const PretrainConfig& config, const PretrainContext& context)
      : config_(config),
        context_(context),
        data_(opened(config)),
        run_(config.output),
        runtime_(resolve_runtime(config.runtime)),
        held_out_masking_(masking({})),
        train_(data_.train, masking(config.mask), static_cast<uint64_t>(config.seed), data_.manifest.train_order),
        budget_(config.budget),
        shape_(model::make_shape(config.model, data_.manifest.vocab_size, data_.tokenizer->special().pad)),
        state_(config, shape_, runtime_) {}

  PretrainResult run() {
    util::add_log_file(run_.log_file());
    start_or_resume();
    if (budget_.is_spent(usage()) && state_.has_models(run_.path(), *data_.tokenizer)) {
      log_info("pretrain", cat(run_.path().string(), " is already finished; nothing to train"));
      conclude();
      return result();
    }
    write_config();
    run_.link_latest();
    log_start();
    recorder_.emplace(run_, usage(), context_.progress);
    recorder_->header(about_the_run());
    const TrainingClock clock(state_.position.elapsed_seconds);
    evaluate_if_due();
    recorder_->leave_out(clock.seconds() - state_.position.elapsed_seconds);
    while (!budget_.is_spent(usage())) {
      const bool is_whole = train_step();
      state_.position.elapsed_seconds = clock.seconds();
      if (!is_whole) {
        save();
        throw_stopped();
      }
      const double trained_until = clock.seconds();
      warn_of_long_steps();
      log_step();
      evaluate_if_due();
      state_.position.elapsed_seconds = clock.seconds();
      if (budget_.is_spent(usage())) {
        log_last_step();
        evaluate_at_the_end();
      }
      save_if_due();
      recorder_->leave_out(clock.seconds() - trained_until);
    }
    return finish();
  }

 private:
  static RunData opened(const PretrainConfig& config) {
    RunData data(config.data);
    if (data.manifest.seq_len > config.model.max_positions) {
      throw ConfigError(cat("model.max_positions ", config.model.max_positions, " is less than the rows of ",
                            data.manifest.seq_len, " tokens in ", config.data));
    }
    return data;
  }

  data::MaskingOptions masking(const config::MaskConfig& mask) const {
    return masking_options(data_.tokenizer->special(), data_.manifest.vocab_size, mask);
  }

  Usage usage() const {
    return {
        .steps = state_.position.step, .tokens = state_.position.tokens, .seconds = state_.position.elapsed_seconds};
  }

  int64_t micro_rows() const { return std::min(config_.batch.micro_rows, config_.batch.rows); }
  int64_t tokens_per_step() const { return config_.batch.rows * data_.manifest.seq_len; }

  /// Draw, forward, backward, accumulate; then clip and step.
  /// @return false if a stop came between two passes: nothing has changed but the time
  bool train_step() {
    auto& position = state_.position;
    const double lr = learning_rate(config_.schedule, config_.optim.learning_rate,
                                    budget_.share_for_step(usage(), tokens_per_step()));
    BatchLoss sums;
    int64_t masked = 0;
    for (int64_t row = 0; row < config_.batch.rows; row += micro_rows()) {
      if (row > 0 && context_.stop.requested()) {
        state_.parameters.zero_gradients();
        return false;
      }
      const int64_t count = std::min(micro_rows(), config_.batch.rows - row);
      const data::MaskedBatch batch = train_.assemble(position.samples + row, count);
      seed_dropout(
          util::mix_key({static_cast<uint64_t>(config_.seed), static_cast<uint64_t>(util::RandomPurpose::kDropout),
                         static_cast<uint64_t>(position.samples + row)}));
      const BatchLoss loss = state_.objective->loss(batch, encode_options());
      loss.total.backward();
      state_.parameters.accumulate_gradients();
      sums.add(loss);
      masked += static_cast<int64_t>(batch.targets.size());
    }
    if (masked == 0) {
      throw DataError(cat("pretrain: the rows of step ", position.step + 1,
                          " hold no token that can be predicted, only "
                          "special and unknown ones; does the tokenizer fit the text?"));
    }
    const optim::StepReport report = state_.optimizer.step(lr, static_cast<double>(masked));
    last_ = {.loss = sums.masked_lm.item<double>() / static_cast<double>(masked),
             .learning_rate = lr,
             .gradient_norm = report.gradient_norm,
             .memory_bytes = peak_memory_bytes(runtime_)};
    if (sums.replaced_tokens.defined()) {
      const auto tokens = static_cast<double>(tokens_per_step());
      last_.replaced_token_loss = sums.replaced_tokens.item<double>() / tokens;
      last_.replaced_token_accuracy = sums.replaced_tokens_correct.item<double>() / tokens;
    }
    if (!report.is_finite) {
      write_status(run_, "diverged", usage(), budget_.share(usage()));
      throw DivergedError(cat("pretrain: the gradient became non-finite at step ", position.step + 1, " (loss ",
                              last_.loss, "); start again with a lower optim.learning_rate and another --output"));
    }
    ++position.step;
    position.samples += config_.batch.rows;
    position.tokens += tokens_per_step();
    return true;
  }

  model::EncodeOptions encode_options() const {
    return {.dropout = config_.model.dropout,
            .recompute = config_.batch.recompute ? model::Recompute::kPerLayer : model::Recompute::kNever};
  }

  /// A time budget of a few steps is no training, and it ends late: a step is not cut short.
  void warn_of_long_steps() const {
    const double share = budget_.share(usage());
    if (!config_.budget.time.empty() && state_.position.step == 1 && share > kLongStepShare) {
      util::log_warning("pretrain", cat("the first step took ", util::format_fixed(100 * std::min(1.0, share), 0),
                                        " % of the budget (", util::format_duration(usage().seconds),
                                        "); give more, or a smaller batch.rows or model"));
    }
  }

  void log_step() {
    recorder_->advance(tokens_per_step(), budget_.share(usage()));
    if (state_.position.step % config_.log_every_steps == 0) {
      recorder_->step(usage(), last_, budget_.share(usage()));
    }
  }

  void log_last_step() {
    if (recorder_->last_logged_step() != state_.position.step) {
      recorder_->step(usage(), last_, budget_.share(usage()));
    }
  }

  /// Evaluations that should have been made after `step` steps and this share of the budget.
  int64_t evaluations_due(int64_t step, double share) const {
    return config_.eval.every_steps > 0 ? step / config_.eval.every_steps
                                        : static_cast<int64_t>(share * kDefaultEvaluations);
  }

  /// Also at the start of a session: the one before may have been stopped in an evaluation.
  void evaluate_if_due() {
    auto& position = state_.position;
    const double share = budget_.share(usage());
    const bool is_due =
        evaluations_due(position.step, share) > evaluations_due(position.evaluated_step, position.evaluated_share);
    if (data_.valid.rows() == 0 || share >= 1.0 || !is_due) {
      return;
    }
    const int64_t wanted = config_.eval.rows == 0 ? data_.valid.rows() : config_.eval.rows;
    if (const auto scores = evaluate(std::min(wanted, data_.valid.rows()))) {
      record(*scores);
      position.evaluated_step = position.step;
      position.evaluated_share = share;
    }
  }

  /// On all rows, once the budget is spent; before the last checkpoint, which remembers that it is recorded.
  void evaluate_at_the_end() {
    if (!lacks_final_evaluation()) {
      return;
    }
    final_scores_ = evaluate(data_.valid.rows());
    if (final_scores_) {
      record(*final_scores_);
      state_.position.final_evaluation_step = state_.position.step;
      state_.position.metrics_bytes = recorder_->metrics_bytes();
    }
  }

  bool lacks_final_evaluation() const {
    return data_.valid.rows() > 0 && state_.position.final_evaluation_step != state_.position.step;
  }

  /// @return nullopt when asked to stop on the way
  std::optional<HeldOutScores> evaluate(int64_t rows) const {
    const data::MaskedBatches batches(data_.valid, held_out_masking_, /*seed=*/0, data::RowOrder::kStored);
    return state_.objective->evaluate(batches, rows, micro_rows(), context_.stop);
  }

  void record(const HeldOutScores& scores) { recorder_->evaluation(usage(), scores, data_.manifest.unigram_entropy); }

  void save_if_due() {
    const auto& position = state_.position;
    const bool by_steps = config_.checkpoint.every_steps > 0 && position.step % config_.checkpoint.every_steps == 0;
    const auto every = util::parse_duration(config_.checkpoint.every_time);
    const bool by_time = !config_.checkpoint.every_time.empty() && position.elapsed_seconds - saved_seconds_ >= *every;
    const bool is_stopping = context_.stop.requested();
    if (by_steps || by_time || is_stopping || budget_.is_spent(usage())) {
      save();
    }
    if (is_stopping && (!budget_.is_spent(usage()) || lacks_final_evaluation())) {
      throw_stopped();
    }
  }

  /// A checkpoint of this step that was read or written before stays: only what is not in its tensors is replaced.
  void save() {
    state_.position.metrics_bytes = recorder_->metrics_bytes();
    if (saved_step_ == state_.position.step) {
      checkpoint::update_state(run_.checkpoints(), state_.position);
    } else {
      state_.save(run_.checkpoints(), config_.checkpoint.keep);
    }
    saved_step_ = state_.position.step;
    saved_seconds_ = state_.position.elapsed_seconds;
  }

  [[noreturn]] void throw_stopped() {
    write_status(run_, "stopped", usage(), budget_.share(usage()));
    throw util::StoppedError(context_.stop, cat("pretrain: stopped at step ", state_.position.step,
                                                " after writing a checkpoint; the same command continues from there"));
  }

  PretrainResult finish() {
    if (lacks_final_evaluation()) {  // a session was stopped between its last step and the end of its last evaluation
      evaluate_at_the_end();
      if (!final_scores_) {
        throw_stopped();
      }
      save();
    }
    state_.write_models(run_.path(), *data_.tokenizer);
    conclude();
    return result();
  }

  /// The last of a run; a session that was killed on the way here leaves it to the next.
  void conclude() const {
    checkpoint::clean_up(run_.checkpoints(), config_.checkpoint.keep);
    if (!says_finished(run_)) {
      write_status(run_, "finished", usage(), budget_.share(usage()));
    }
  }

  PretrainResult result() {
    const auto& position = state_.position;
    if (!final_scores_ && data_.valid.rows() > 0) {
      final_scores_ = evaluate(data_.valid.rows());
      if (!final_scores_) {
        throw util::StoppedError(context_.stop, "pretrain: stopped while scoring a finished run");
      }
    }
    const auto models = state_.objective->models();
    return {.model = run_.model(),
            .generator = models.size() > 1 ? std::optional(run_.path() / models[1].folder) : std::nullopt,
            .steps = position.step,
            .tokens = position.tokens,
            .elapsed_seconds = position.elapsed_seconds,
            .unigram_entropy = data_.manifest.unigram_entropy,
            .held_out = final_scores_};
  }

  void start_or_resume() {
    if (resume_run(run_, context_.resume, {.config = config_, .data_id = data_.id}, state_)) {
      note_other_runtime();
      const bool is_in_this_folder = context_.resume.kind != ResumeChoice::Kind::kPath;
      saved_step_ = is_in_this_folder ? state_.position.step : kNoStep;
      saved_seconds_ = state_.position.elapsed_seconds;
    } else {
      start_fresh();
    }
    monitor::rewind_metrics(run_.metrics_file(), state_.position.metrics_bytes);
  }

  void start_fresh() {
    check_stored_config(run_, config_);
    log_info("pretrain", "checking the packed data");
    data_.train.verify(context_.stop);
    data_.valid.verify(context_.stop);
    state_.position.elapsed_seconds =
        start_from_data(config_, data_, runtime_.threads, context_.stop, state_.parameters);
    PretrainConfig copy = config_;
    state_.position.config_yaml = config::dump_yaml(config::fields_of(copy), config::DumpStyle::kPlain);
    state_.position.data_id = data_.id;
    state_.position.runtime = circumstances();
  }

  /// Continuing elsewhere is allowed; that its numbers differ in the last digits has to be known.
  void note_other_runtime() {
    std::string& before = state_.position.runtime;
    if (before != circumstances()) {
      util::log_warning("pretrain", cat("the checkpoint comes from ", before, "; this session runs on ",
                                        circumstances(), ": the run goes on, but not bit for bit as there"));
    }
    before = circumstances();
  }

  /// What the last bits of a run depend on beside its configuration.
  std::string circumstances() const { return cat(describe(runtime_), ", passes of ", micro_rows(), " rows"); }

  void write_config() const {
    PretrainConfig copy = config_;
    util::write_file_atomically(run_.config_file(),
                                config::dump_yaml(config::fields_of(copy), config::DumpStyle::kPlain));
  }

  void log_start() const {
    const int64_t rows = data_.train.rows();
    log_info("pretrain", cat("data: ", util::format_count(rows), " rows of ", data_.manifest.seq_len, " tokens, ",
                             util::format_count(data_.valid.rows()), " held out; unigram entropy ",
                             util::format_fixed(data_.manifest.unigram_entropy, 3), " nats per token"));
    log_info("pretrain", cat("model: ", util::format_count(state_.parameters.count()), " parameters, ",
                             describe(runtime_), "; batch ", config_.batch.rows, " rows in passes of ", micro_rows()));
    if (data_.valid.rows() == 0) {
      util::log_warning("pretrain", "no held-out rows: pack with a larger --valid-frac to see the held-out loss");
    }
  }

  json about_the_run() const {
    PretrainConfig copy = config_;
    return {{"event", "start"},
            {"step", state_.position.step},
            {"fingerprint", config::fingerprint(config::fields_of(copy))},
            {"version", util::version()},
            {"commit", util::commit()},
            {"torch_version", util::torch_version()},
            {"device", describe(runtime_)},
            {"seed", config_.seed},
            {"parameters", state_.parameters.count()},
            {"flops_per_token", state_.objective->flops_per_token(data_.manifest.seq_len)},
            {"unigram_entropy", data_.manifest.unigram_entropy}};
  }

  const PretrainConfig& config_;
  const PretrainContext& context_;
  RunData data_;
  RunDirectory run_;
  Runtime runtime_;
  data::MaskingOptions held_out_masking_;  ///< BERT's 15 %, as `bertcram eval`: runs at other rates can be compared
  data::MaskedBatches train_;
  Budget budget_;
  model::EncoderShape shape_;
  TrainingState state_;
  std::optional<RunRecorder> recorder_;
  StepFigures last_;
  std::optional<HeldOutScores> final_scores_;
  int64_t saved_step_ = kNoStep;
  double saved_seconds_ = 0;
};

}  // namespace

PretrainResult run_pretrain(const PretrainConfig& config, const PretrainContext& context) {
  return Pretrainer(config, context).run();
}

}  // namespace bertcram::train
