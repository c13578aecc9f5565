#include "run_recorder.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "layer_histograms.h"
#include "run_header.h"
#include "run_status.h"

namespace bertcram::train {

using nlohmann::json;

namespace {

double seconds_left(const Usage& usage, double share) { return share > 0 ? usage.seconds * (1 - share) / share : 0; }

/// Of a cell in a table: what has a meaning there is escaped.
std::string in_markdown(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    escaped += std::string_view("\\|*_`[]<>#").find(c) == std::string_view::npos ? std::string(1, c) : cat('\\', c);
  }
  return escaped;
}

json json_of(const std::vector<GapSample>& samples) {
  json list = json::array();
  for (const GapSample& sample : samples) {
    json top = json::array();
    for (const Guess& guess : sample.top) {
      top.push_back({{"token", guess.token}, {"probability", guess.probability}});
    }
    list.push_back(
        {{"before", sample.before}, {"truth", sample.truth}, {"after", sample.after}, {"top", std::move(top)}});
  }
  return list;
}

std::string markdown_of(const std::vector<GapSample>& samples) {
  std::string table = "| before | was | expected | after |\n| ---: | :-: | :- | :- |\n";
  for (const GapSample& sample : samples) {
    std::string guesses;
    for (const Guess& guess : sample.top) {
      guesses +=
          cat(guesses.empty() ? "" : ", ", guess.token, " ", util::format_fixed(100 * guess.probability, 1), " %");
    }
    table += cat("| ", in_markdown(sample.before), " | **", in_markdown(sample.truth), "** | ", in_markdown(guesses),
                 " | ", in_markdown(sample.after), " |\n");
  }
  return table;
}

}  // namespace

RunRecorder::RunRecorder(RunDirectory& run, const config::PretrainConfig& config, const Usage& start,
                         util::ProgressStyle progress, monitor::RunEvents& events)
    : run_(run),
      config_yaml_(config_text(config)),
      log_every_steps_(config.log_every_steps),
      histograms_every_steps_(config.histograms_every_steps),
      metrics_(run.metrics_file(), start.steps + 1),
      events_(events),
      terminal_(progress),
      last_(start),
      heartbeat_seconds_(start.seconds) {
  util::write_file_atomically(run_.config_file(), config_yaml_);
  run_.link_latest();
}

void RunRecorder::header(const json& about_the_run) {
  header_ = about_the_run;
  peak_flops_ = about_the_run.value("peak_flops", 0.0);
  flops_per_token_ = about_the_run.value("flops_per_token", 0.0);
  session_begins_ = metrics_.flushed_bytes();
  metrics_.write(about_the_run);
  metrics_.text("config", last_.steps + 1, cat("```yaml\n", config_yaml_, "```\n"));
  events_.send("start", last_.steps > 0 ? cat("goes on from step ", util::format_count(last_.steps)) : "begins",
               about_the_run);
}

/// For who looks on; that it cannot be written is no reason to end a run.
void RunRecorder::heartbeat(const Usage& usage, double share) {
  heartbeat_seconds_ = usage.seconds;
  try {
    restore_what_is_gone();
    write_status(run_, "running", usage, share);
    is_failing_ = false;
  } catch (const RunTakenError&) {
    throw;
  } catch (const ResourceError& error) {
    if (!is_failing_) {
      util::log_warning("pretrain", cat("no heartbeat: ", error.what(), "; the run goes on"));
    }
    is_failing_ = true;
  }
}

/// Somebody may remove or move the folder of a run, or files in it.
void RunRecorder::restore_what_is_gone() {
  if (run_.is_intact() && !metrics_.is_gone()) {
    return;
  }
  run_.make_again();
  std::error_code ignored;
  if (!std::filesystem::exists(run_.config_file(), ignored)) {
    util::write_file_atomically(run_.config_file(), config_yaml_);
  }
  if (metrics_.is_gone()) {
    metrics_.restore();
    metrics_.write(header_);
  }
  util::log_warning("pretrain", cat(run_.path().string(),
                                    " or files in it were removed or moved away: they are made again without what was "
                                    "in them (run.log in the next session); the run goes on"));
}

void RunRecorder::step(const Usage& usage, const StepFigures& figures, double share) {
  constexpr double kHeartbeatSeconds = 15;
  if (usage.seconds - heartbeat_seconds_ >= kHeartbeatSeconds) {
    heartbeat(usage, share);
  }
  load_seconds_ += figures.phases.load;
  terminal_.advance(figures.tokens, share);
  if (usage.steps % log_every_steps_ == 0) {
    log(usage, figures, share);
  }
}

void RunRecorder::last_step(const Usage& usage, const StepFigures& figures, double share) {
  if (last_.steps != usage.steps) {
    log(usage, figures, share);
  }
}

void RunRecorder::log(const Usage& usage, const StepFigures& figures, double share) {
  const double seconds = std::max(1e-9, usage.seconds - last_.seconds);
  const double rate = static_cast<double>(usage.tokens - last_.tokens) / seconds;
  const auto mfu = peak_flops_ > 0 ? std::optional(rate * flops_per_token_ / peak_flops_) : std::nullopt;
  json line = {{"step", usage.steps},
               {"tokens", usage.tokens},
               {"loss", figures.loss},
               {"lr", figures.learning_rate},
               {"grad_norm", figures.gradient_norm},
               {"tokens_per_second", rate},
               {"mfu", mfu ? json(*mfu) : json()},
               {"elapsed_seconds", usage.seconds},
               {"memory_bytes", figures.memory_bytes},
               {"load_share", load_seconds_ / (seconds + overhead_seconds_)},
               {"overhead_share", overhead_seconds_ / (seconds + overhead_seconds_)}};
  load_seconds_ = 0;
  overhead_seconds_ = 0;
  if (const auto readings = sensors_.read(); readings.temperature) {
    line["gpu_temperature"] = *readings.temperature;
    line["gpu_power_watts"] = readings.power_watts ? json(*readings.power_watts) : json();
  }
  if (figures.replaced_token_loss) {
    line["rtd_loss"] = *figures.replaced_token_loss;
    line["rtd_accuracy"] = *figures.replaced_token_accuracy;
  }
  heartbeat(usage, share);
  metrics_.write(line);
  last_ = usage;
  terminal_.step({.step = usage.steps,
                  .share = share,
                  .loss = figures.loss,
                  .replaced_token_loss = figures.replaced_token_loss,
                  .learning_rate = figures.learning_rate,
                  .tokens_per_second = rate,
                  .mfu = mfu,
                  .seconds_left = seconds_left(usage, share)});
}

void RunRecorder::evaluation(const Usage& usage, const HeldOutScores& scores, const std::vector<GapSample>& samples,
                             double unigram_entropy, double share) {
  json line = {{"step", usage.steps},
               {"tokens", usage.tokens},
               {"eval_loss", scores.loss},
               {"eval_perplexity", scores.perplexity()},
               {"eval_accuracy", scores.accuracy},
               {"eval_masked_tokens", scores.masked_tokens},
               {"elapsed_seconds", usage.seconds}};
  std::string discriminator;
  if (scores.replaced_tokens) {
    const ReplacedTokenScores& replaced = *scores.replaced_tokens;
    line["eval_rtd_loss"] = replaced.loss;
    line["eval_rtd_accuracy"] = replaced.accuracy;
    line["eval_rtd_replaced"] = replaced.replaced_share;
    line["eval_rtd_found"] = replaced.found;
    discriminator = cat("; replaced tokens: loss ", util::format_fixed(replaced.loss, 4), ", accuracy ",
                        util::format_fixed(100 * replaced.accuracy, 2),
                        " % (always 'original': ", util::format_fixed(100 * (1 - replaced.replaced_share), 2), " %)");
  }
  if (!samples.empty()) {
    line["samples"] = json_of(samples);
    metrics_.text("samples", usage.steps, markdown_of(samples));
  }
  metrics_.write(line);
  const std::string sentence = cat("step ", usage.steps, ": held-out loss ", util::format_fixed(scores.loss, 4),
                                   ", accuracy ", util::format_fixed(100 * scores.accuracy, 2), " % (unigram entropy ",
                                   util::format_fixed(unigram_entropy, 3), ")", discriminator);
  if (terminal_.is_live()) {  // as a row of a table there; run.log has the sentence
    util::log_debug("pretrain", sentence);
    terminal_.evaluation(usage.steps, scores, share, seconds_left(usage, share));
  } else {
    util::log_info("pretrain", sentence);
  }
  line["budget_share"] = share;
  line["seconds_left"] = seconds_left(usage, share);
  events_.send("evaluation",
               cat("step ", util::format_count(usage.steps), ", held-out loss ", util::format_fixed(scores.loss, 4),
                   ", ", util::format_fixed(100 * share, 1), " % of the budget, ",
                   util::format_duration(seconds_left(usage, share)), " left"),
               line);
}

void RunRecorder::layers(int64_t step, nn::Parameters& parameters, double divisor) {
  if (histograms_every_steps_ == 0 || step % histograms_every_steps_ != 0) {
    return;
  }
  const auto record = [&](const char* kind, const std::map<std::string, monitor::Histogram>& layers) {
    for (const auto& [layer, histogram] : layers) {
      metrics_.histogram(cat(kind, layer), step, histogram);
    }
  };
  record("weights/", layer_histograms(parameters, parameters.masters(), 1));
  record("gradients/", layer_histograms(parameters, parameters.gradients(), divisor));
}

void RunRecorder::rewind(const Usage& start, int64_t metrics_bytes, const std::string& reason) {
  metrics_.rewind(metrics_bytes, start.steps + 1);
  if (metrics_bytes <= session_begins_) {  // of an earlier session: what comes is still of this one's machine
    session_begins_ = metrics_bytes;
    metrics_.write(header_);
  }
  last_ = start;
  load_seconds_ = 0;
  overhead_seconds_ = 0;
  events_.send("went_back", cat("back at step ", util::format_count(start.steps), ": ", reason),
               {{"step", start.steps}, {"reason", reason}});
}

}  // namespace bertcram::train
