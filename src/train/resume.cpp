#include "resume.h"

#include <algorithm>
#include <array>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/config/resolve.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "run_status.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;
using config::PretrainConfig;

/// Whether weights of one value are of no use for the other. @param difference  "key: before -> now"
bool is_built_in(const std::string& difference) {
  constexpr std::array kBuiltIn = {"model.", "objective:", "rtd.generator_layers:", "optim.algorithm:"};
  return std::ranges::any_of(kBuiltIn, [&](const char* key) { return difference.starts_with(key); });
}

/// @return the tracked values that differ  @throws ConfigError if one may not  @param where the stored ones stand
std::vector<std::string> check_same_config(const std::string& stored_yaml, const std::string& where,
                                           const RunDirectory& run, const RunIdentity& identity) {
  PretrainConfig before;
  PretrainConfig now = identity.config;
  config::apply_yaml(config::fields_of(before), stored_yaml, where);
  auto differing = config::differences(config::fields_of(before), config::fields_of(now));
  if (differing.empty()) {
    return {};
  }
  if (!identity.may_change) {
    throw ConfigError(cat(where, " is of another run: ", util::join(differing, ", "),
                          "; use the same settings to continue it, --allow-config-change to go on with these, or "
                          "another --output than ",
                          run.path().string()));
  }
  std::vector<std::string> impossible;
  std::ranges::copy_if(differing, std::back_inserter(impossible), is_built_in);
  if (!impossible.empty()) {
    throw ConfigError(cat("--allow-config-change: ", util::join(impossible, ", "),
                          " cannot change in a run, its weights are made for it; use another --output than ",
                          run.path().string()));
  }
  util::log_warning("pretrain", cat("going on with another configuration: ", util::join(differing, ", ")));
  return differing;
}

/// @return the settings that differ
std::vector<std::string> check_same_run(const checkpoint::TrainState& stored, const std::string& where,
                                        const RunDirectory& run, const RunIdentity& identity) {
  auto differing = check_same_config(stored.config_yaml, where, run, identity);
  if (stored.data_id != identity.data_id) {
    throw ConfigError(cat("--data ", identity.config.data, " is not the data that ", run.path().string(),
                          " was trained on; name the same data, or another --output"));
  }
  return differing;
}

/// A run that went back after diverging trains with half its rate, until it is told another rate.
void settle_rate_factor(const std::vector<std::string>& changed, checkpoint::TrainState& position) {
  const bool has_new_rate =
      std::ranges::any_of(changed, [](const auto& key) { return key.starts_with("optim.learning_rate:"); });
  if (position.rate_factor < 1.0 && has_new_rate) {
    position.rate_factor = 1.0;
  } else if (position.rate_factor < 1.0) {
    util::log_warning("pretrain", cat("the run once diverged and went back: it trains with ", position.rate_factor,
                                      " of optim.learning_rate"));
  }
}

std::vector<fs::path> candidates(const RunDirectory& run, const ResumeChoice& choice, const RunIdentity& identity) {
  auto found = checkpoint::list_checkpoints(run.checkpoints());
  if (choice.kind == ResumeChoice::Kind::kPath) {
    if (!fs::exists(choice.path / "state.json")) {
      throw DataError(cat("--resume ", choice.path.string(),
                          ": no checkpoint here; expected a folder such as RUN/checkpoints/step-0000001000"));
    }
    check_stored_config(run, identity);
    if (!found.empty() && !is_own_checkpoint(run, choice)) {
      throw ConfigError(cat("--resume ", choice.path.string(), ", but ", run.path().string(),
                            " holds a run of its own: continue that without --resume, or choose another --output"));
    }
    return {choice.path};
  }
  if (choice.kind == ResumeChoice::Kind::kNever && !found.empty()) {
    throw ConfigError(
        cat("--resume never, but ", run.path().string(), " holds checkpoints; choose another --output or remove them"));
  }
  return found;
}

/// Whoever removes the checkpoints of a finished run wants the space, not another run in its place.
void check_not_finished(const RunDirectory& run, const RunIdentity& identity) {
  if (says_finished(run) && fs::exists(run.model() / "config.json")) {
    check_stored_config(run, identity);
    throw ConfigError(cat(run.path().string(), " is finished and has no checkpoints any more: the model in ",
                          run.model().string(),
                          " is whole, the run cannot go on; to train again choose another --output "
                          "or remove ",
                          run.status_file().string()));
  }
}

}  // namespace

bool is_own_checkpoint(const RunDirectory& run, const ResumeChoice& choice) {
  if (choice.kind != ResumeChoice::Kind::kPath) {
    return true;
  }
  const fs::path whole = fs::absolute(choice.path).lexically_normal();
  const fs::path folder =
      whole.has_filename() ? whole : whole.parent_path();  // `step-0000001000/`, as shells complete it
  std::error_code missing;
  return fs::equivalent(folder.parent_path(), run.checkpoints(), missing);
}

bool resume_run(const RunDirectory& run, const ResumeChoice& choice, const RunIdentity& identity,
                TrainingState& state) {
  const std::vector<fs::path> found = candidates(run, choice, identity);
  for (const fs::path& candidate : found) {
    try {
      const auto changed = check_same_run(checkpoint::read_state(candidate), candidate.string(), run, identity);
      state.load(candidate);
      settle_rate_factor(changed, state.position);
      checkpoint::discard_newer(run.checkpoints(), state.position.step);
      util::log_info("pretrain", cat("continuing from ", candidate.filename().string(), " (",
                                     util::format_duration(state.position.elapsed_seconds), " trained)"));
      return true;
    } catch (const UnreadableError&) {
      throw;  // it may be fine: to go on from an older one would throw it away
    } catch (const DataError& error) {
      if (choice.kind == ResumeChoice::Kind::kPath) {
        throw;
      }
      util::log_warning("pretrain", cat("skipping a damaged checkpoint: ", error.what()));
    }
  }
  if (!found.empty()) {
    throw DataError(cat("none of the ", found.size(), " checkpoints in ", run.checkpoints().string(),
                        " can be read (see the warnings above); restore one, or remove that folder to start again "
                        "from the beginning"));
  }
  check_not_finished(run, identity);
  return false;
}

void settle_files(const RunDirectory& run, const ResumeChoice& choice, checkpoint::TrainState& position) {
  if (!is_own_checkpoint(run, choice)) {
    position.metrics_bytes = 0;
    return;
  }
  if (!fs::exists(run.config_file())) {
    util::write_file_atomically(run.config_file(), position.config_yaml);
    util::log_warning("pretrain", cat(run.config_file().string(), " was missing and is made again"));
  }
  if (!fs::exists(run.metrics_file())) {
    util::write_file_atomically(run.metrics_file(), "");
    position.metrics_bytes = 0;
    util::log_warning("pretrain", cat(run.metrics_file().string(),
                                      " was missing and begins anew: what it said of the run up to step ",
                                      position.step, " is lost, the weights are not"));
  }
}

void check_stored_config(const RunDirectory& run, const RunIdentity& identity) {
  if (fs::exists(run.config_file())) {
    check_same_config(util::read_file(run.config_file()), run.config_file().string(), run, identity);
  }
}

}  // namespace bertcram::train
