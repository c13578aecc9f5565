#include "bertcram/train/pretrainer.h"

#include <algorithm>

#include "bertcram/monitor/metrics_log.h"
#include "bertcram/train/masked_lm.h"
#include "bertcram/train/run_directory.h"
#include "bertcram/train/schedule.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "checkpointing.h"
#include "gap_samples.h"
#include "health.h"
#include "held_out_rows.h"
#include "origin.h"
#include "resume.h"
#include "run_data.h"
#include "run_header.h"
#include "run_recorder.h"
#include "run_status.h"
#include "session_end.h"
#include "train_step.h"
#include "training_clock.h"
#include "training_state.h"

namespace bertcram::train {
namespace {

using config::PretrainConfig;

constexpr double kRateAfterDiverging = 0.5;
constexpr const char* kSaved = "after writing a checkpoint";

/// The training loop and what it needs at hand.
class Pretrainer {
 public:
  Pretrainer(const PretrainConfig& config, const PretrainContext& context)
      : context_(context),
        data_(config.data),
        origin_(config, data_),
        config_(origin_.config()),
        run_(config_.output),
        runtime_(set_up_runtime(config_.runtime)),
        held_out_(config_.eval, data_.valid, masking({}), util::parse_duration(config_.budget.time)),
        gaps_(data_.valid, *data_.tokenizer),
        train_(data_.train, masking(config_.mask), static_cast<uint64_t>(config_.seed), data_.manifest.train_order),
        budget_(config_.budget),
        state_(config_, origin_.shape(), runtime_),
        step_(config_, runtime_, train_, state_),
        checkpoints_(config_.checkpoint, run_.checkpoints(), state_),
        health_(config_.health, util::parse_duration(config_.budget.time)) {}

  PretrainResult run() {
    try {
      return train();
    } catch (const std::exception& error) {
      rescue(error);
      throw;
    }
  }

 private:
  PretrainResult train() {
    util::add_log_file(run_.log_file());
    start_or_resume();
    if (budget_.is_spent(usage()) && !lacks_final_evaluation() && state_.has_models(run_.path(), *data_.tokenizer)) {
      util::log_info("pretrain", cat(run_.path().string(), " is already finished; nothing to train"));
      conclude();
      return result();
    }
    log_run(config_, runtime_, data_, state_, step_.passes().rows);
    recorder_.emplace(run_, config_, usage(), context_.progress, context_.events);
    recorder_->header(run_header(config_, runtime_, data_, state_));
    const TrainingClock clock(state_.position.elapsed_seconds);
    evaluate_if_due();
    const double evaluated_first = clock.seconds() - state_.position.elapsed_seconds;
    recorder_->leave_out(evaluated_first, evaluated_first);
    while (!budget_.is_spent(usage())) {
      const double began = clock.seconds();
      const auto figures = step_.run(next_step_settings(config_, budget_, usage(), data_.manifest.seq_len),
                                     context_.stop, [this](double divisor) {
                                       recorder_->layers(state_.position.step + 1, state_.parameters, divisor);
                                       is_between_steps_ = false;
                                     });
      is_between_steps_ = true;
      const double trained_until = clock.seconds();
      state_.position.elapsed_seconds = trained_until;
      if (!figures) {
        stop(save_unless_ill());
      }
      if (health_.after_step(*figures, trained_until - began, state_.position)) {
        go_back(cat("the gradient was not finite in ", health_.skipped_in_a_row(), " steps in a row, up to step ",
                    state_.position.step),
                clock);
        continue;
      }
      step_seconds_ = trained_until - began;
      recorder_->step(usage(), *figures, budget_.share(usage()));
      const double logged_until = clock.seconds();
      evaluate_if_due();
      state_.position.elapsed_seconds = clock.seconds();
      recorder_->leave_out(state_.position.elapsed_seconds - trained_until,
                           state_.position.elapsed_seconds - logged_until);
      if (budget_.is_spent(usage())) {
        recorder_->last_step(usage(), *figures, budget_.share(usage()));
        evaluate_at_the_end(clock);
        if (!is_sound()) {
          go_back(cat("weights or held-out loss are no numbers after the last step, ", state_.position.step), clock);
          continue;
        }
      }
      save_if_due();
      recorder_->leave_out(clock.seconds() - state_.position.elapsed_seconds, 0);
    }
    return finish(clock);
  }

  /// The last heartbeat of a session that ends for want of memory or data, or by a bug, and the last whole step of it.
  void rescue(const std::exception& why) noexcept {
    const bool is_said = dynamic_cast<const DivergedError*>(&why) || dynamic_cast<const util::StoppedError*>(&why);
    if (!recorder_ || is_said || dynamic_cast<const RunTakenError*>(&why)) {  // that one's folder is another's
      return;
    }
    try {
      checkpoints_.finish_writing();
      if (is_between_steps_ && !checkpoints_.is_saved()) {
        util::log_warning("pretrain", cat("ending at step ", state_.position.step, " ", save_unless_ill()));
      }
    } catch (const std::exception& error) {
      util::log_warning("pretrain", cat("no checkpoint of step ", state_.position.step, ": ", error.what()));
    }
    note_status(here(), "failed");
  }

  SessionEnd here() const { return {.run = run_, .usage = usage(), .share = budget_.share(usage())}; }

  data::MaskingOptions masking(const config::MaskConfig& mask) const {
    return masking_options(data_.tokenizer->special(), data_.manifest.vocab_size, mask);
  }

  Usage usage() const {
    return {.steps = state_.position.step,
            .tokens = state_.position.tokens,
            .seconds = state_.position.elapsed_seconds,
            .step_seconds = step_seconds_};
  }

  /// Whether this may be called a model.
  bool is_sound() { return (!final_scores_ || final_scores_->are_numbers()) && is_finite(state_.parameters); }

  /// To the last checkpoint that is whole, with half of the learning rate: once in a run. @param what  is wrong
  void go_back(const std::string& what, const TrainingClock& clock) {
    auto& position = state_.position;
    const checkpoint::TrainState before = position;
    if (position.rate_factor < 1.0) {
      end_diverged(here(), cat(what, ", with half the learning rate too"));
    }
    checkpoints_.finish_writing();
    try {
      if (!resume_run(run_, {.kind = ResumeChoice::Kind::kAuto, .path = {}}, identity(), state_)) {
        end_diverged(here(), cat(what, ", and there is no checkpoint to go back to"));
      }
    } catch (const UnreadableError&) {
      throw;  // that says nothing of the checkpoint
    } catch (const DataError& error) {
      end_diverged(here(), cat(what, ", and no checkpoint can be read: ", error.what()));
    }
    position.rate_factor = kRateAfterDiverging;
    position.elapsed_seconds = before.elapsed_seconds;  // time does not come back
    position.reserved_seconds = std::max(position.reserved_seconds, before.reserved_seconds);
    final_scores_.reset();
    take_over_position();
    checkpoints_.starts_here(/*is_saved=*/true);
    checkpoints_.save_now();  // factor and time alone: going back once means once in all sessions
    if (budget_.is_spent(usage())) {
      end_diverged(here(), cat(what, ", and no time is left to go on from step ", position.step));
    }
    recorder_->rewind(usage(), position.metrics_bytes, what);
    recorder_->leave_out(clock.seconds() - before.elapsed_seconds, 0);
    health_.has_gone_back();
    util::log_warning("pretrain", cat(what, ": back at step ", position.step, " with ", kRateAfterDiverging,
                                      " of the learning rate"));
  }

  /// Also at the start of a session: the one before may have been stopped in an evaluation.
  void evaluate_if_due() {
    auto& position = state_.position;
    const double share = budget_.share(usage());
    if (!held_out_.is_due(position.step, share, position.evaluated_step, position.evaluated_share)) {
      return;
    }
    step_.release_memory();
    if (const auto scores = held_out_.score_some(*state_.objective, step_.passes().rows, context_.stop)) {
      record(*scores);
      checkpoints_.after_evaluation(scores->loss);
      position.evaluated_step = position.step;
      position.evaluated_share = share;
      position.final_evaluation_rows = held_out_.rows_of_last();
      position.reserved_seconds = held_out_.seconds_for_last() + checkpoints_.seconds_of_last() + 0.5 * step_seconds_;
      budget_.reserve(position.reserved_seconds);
    }
  }

  /// Once the budget is spent; before the last checkpoint, which remembers that it is recorded.
  void evaluate_at_the_end(const TrainingClock& clock) {
    if (!lacks_final_evaluation()) {
      return;
    }
    step_.release_memory();
    state_.position.final_evaluation_rows = held_out_.rows_of_last();
    final_scores_ = score_last();
    if (final_scores_) {
      record(*final_scores_);
      state_.position.final_evaluation_step = state_.position.step;
      state_.position.metrics_bytes = recorder_->metrics_bytes();
    }
    state_.position.elapsed_seconds = clock.seconds();
  }

  bool lacks_final_evaluation() const {
    return !held_out_.is_empty() && state_.position.final_evaluation_step != state_.position.step;
  }

  std::optional<HeldOutScores> score_last() {
    return held_out_.score_last(*state_.objective, state_.position.final_evaluation_rows, step_.passes().rows,
                                context_.stop);
  }

  void record(const HeldOutScores& scores) {
    state_.position.eval_loss = scores.loss;
    recorder_->evaluation(usage(), scores, gaps_.fill(state_.objective->masked_lm(), runtime_.device),
                          data_.manifest.unigram_entropy, budget_.share(usage()));
    health_.after_evaluation(scores.loss, data_.manifest.unigram_entropy, state_.position.step, budget_.share(usage()));
  }

  void save_if_due() {
    checkpoints_.poll();
    const bool is_stopping = context_.stop.requested();
    const char* saved = kSaved;
    if (budget_.is_spent(usage())) {
      saved = save();
    } else if (is_stopping) {
      saved = save_unless_ill();
    } else if (checkpoints_.is_due() && !health_.is_ill() && is_finite(state_.parameters)) {
      note_position();
      checkpoints_.save_in_background();
    }
    if (is_stopping && (!budget_.is_spent(usage()) || lacks_final_evaluation())) {
      stop(saved);
    }
  }

  [[noreturn]] void stop(const char* saved) {
    state_.leave_models(run_.path(), *data_.tokenizer);
    end_stopped(here(), context_, saved);
  }

  /// @return what became of it, for the message of a stop
  const char* save() {
    if (!is_finite(state_.parameters)) {
      util::log_warning("pretrain",
                        cat("no checkpoint of step ", state_.position.step, ": its weights are no numbers"));
      return "without a checkpoint of weights that are no numbers";
    }
    note_position();
    checkpoints_.save_now();
    return kSaved;
  }

  /// Steps that are being skipped are what the run goes back from: the checkpoint before them has to stay the newest.
  const char* save_unless_ill() {
    return health_.is_ill() && checkpoints_.has_any() ? "at its last checkpoint, for steps were being skipped" : save();
  }

  /// What a checkpoint says of the run's other parts.
  void note_position() {
    state_.position.metrics_bytes = recorder_->metrics_bytes();
    state_.position.passes = step_.passes();
    state_.position.runtime = circumstances();
  }

  PretrainResult finish(const TrainingClock& clock) {
    if (lacks_final_evaluation()) {  // a session was stopped between its last step and the end of its last evaluation
      evaluate_at_the_end(clock);
      if (!final_scores_) {
        stop(kSaved);
      }
      if (!is_sound()) {
        end_diverged(here(), "the held-out loss of the last checkpoint is no number");
      }
      save();
    }
    state_.write_models(run_.path(), *data_.tokenizer);
    conclude();
    return result();
  }

  /// The last of a run; a session that was killed on the way here leaves it to the next.
  void conclude() const {
    checkpoint::clean_up(run_.checkpoints(), retention_of(config_.checkpoint));
    if (!says_finished(run_)) {
      write_status(run_, "finished", usage(), budget_.share(usage()));
    }
  }

  PretrainResult result() {
    if (!final_scores_ && !held_out_.is_empty()) {
      step_.release_memory();
      final_scores_ = score_last();
      if (!final_scores_) {
        throw util::StoppedError(context_.stop, "pretrain: stopped while scoring a finished run");
      }
    }
    const auto models = state_.objective->models();
    return {.model = run_.model(),
            .generator = models.size() > 1 ? std::optional(run_.path() / models[1].folder) : std::nullopt,
            .steps = state_.position.step,
            .tokens = state_.position.tokens,
            .elapsed_seconds = state_.position.elapsed_seconds,
            .unigram_entropy = data_.manifest.unigram_entropy,
            .held_out = final_scores_};
  }

  void start_or_resume() {
    if (resume_run(run_, context_.resume, identity(), state_)) {
      step_.choose_passes(state_.position.passes);
      take_over_position();
      warn_of_other_circumstances("pretrain", "", state_.position.runtime, circumstances());
      state_.position.runtime = circumstances();
      checkpoints_.starts_here(/*is_saved=*/is_own_checkpoint(run_, context_.resume));
      settle_files(run_, context_.resume, state_.position);
    } else {
      start_fresh();
    }
    origin_.leave_note(run_);
    monitor::rewind_metrics(run_.metrics_file(), state_.position.metrics_bytes);
  }

  /// What a loaded position means for this session.
  void take_over_position() {
    auto& position = state_.position;
    position.config_yaml = config_text(config_);
    budget_.reserve(position.reserved_seconds);
    held_out_.remember(position.final_evaluation_rows);
    position.evaluated_share = std::min(position.evaluated_share, budget_.share(usage()));  // of a budget that grew
  }

  void start_fresh() {
    check_stored_config(run_, identity());
    checkpoint::require_room(run_.checkpoints(), state_.tensors());
    data_.verify(context_.stop);
    step_.choose_passes(/*stored=*/{});
    state_.position.elapsed_seconds = origin_.start(data_, runtime_.threads, context_.stop, state_.parameters);
    state_.position.config_yaml = config_text(config_);
    state_.position.data_id = data_.id;
    state_.position.runtime = circumstances();
  }

  std::string circumstances() const { return circumstances_of(runtime_, step_.passes()); }

  RunIdentity identity() const {
    return {.config = config_, .data_id = data_.id, .may_change = context_.may_change_config};
  }

  const PretrainContext& context_;
  RunData data_;
  Origin origin_;
  const PretrainConfig& config_;
  RunDirectory run_;
  Runtime runtime_;
  HeldOutRows held_out_;
  GapSamples gaps_;
  data::MaskedBatches train_;
  Budget budget_;
  TrainingState state_;
  TrainStep step_;
  Checkpointing checkpoints_;
  HealthWatch health_;
  std::optional<RunRecorder> recorder_;
  std::optional<HeldOutScores> final_scores_;
  double step_seconds_ = 0;       ///< of the last step
  bool is_between_steps_ = true;  ///< not in an update, which may be half done
};

}  // namespace

PretrainResult run_pretrain(const PretrainConfig& config, const PretrainContext& context) {
  return Pretrainer(config, context).run();
}

}  // namespace bertcram::train
