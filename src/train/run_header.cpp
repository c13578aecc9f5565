#include "run_header.h"

#include <nlohmann/json.hpp>

#include "bertcram/config/resolve.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "bertcram/util/version.h"
#include "roofline.h"

namespace bertcram::train {

nlohmann::json run_header(const config::PretrainConfig& config, const Runtime& runtime, const RunData& data,
                          const TrainingState& state) {
  config::PretrainConfig copy = config;
  return {{"event", "start"},
          {"step", state.position.step},
          {"fingerprint", config::fingerprint(config::fields_of(copy))},
          {"version", util::version()},
          {"commit", util::commit()},
          {"torch_version", util::torch_version()},
          {"device", describe(runtime)},
          {"seed", config.seed},
          {"parameters", state.parameters.count()},
          {"flops_per_token", state.objective->flops_per_token(data.manifest.seq_len)},
          {"peak_flops", quick_roofline(runtime)},
          {"unigram_entropy", data.manifest.unigram_entropy}};
}

std::string config_text(const config::PretrainConfig& config) {
  config::PretrainConfig copy = config;
  return config::dump_yaml(config::fields_of(copy), config::DumpStyle::kPlain);
}

std::string circumstances_of(const Runtime& runtime, const checkpoint::Passes& passes) {
  return cat(describe(runtime), ", passes of ", passes.rows, " rows", passes.recomputes ? ", recomputed" : "");
}

void warn_of_other_circumstances(const char* room, const std::string& what, const std::string& before,
                                 const std::string& now) {
  if (before != now) {
    util::log_warning(room, cat(what.empty() ? "" : what + ": ", "the checkpoint comes from ", before,
                                "; this session runs on ", now, ": the run goes on, but not bit for bit as there"));
  }
}

void log_run(const config::PretrainConfig& config, const Runtime& runtime, const RunData& data,
             const TrainingState& state, int64_t rows_per_pass) {
  util::log_info("pretrain", cat("data: ", util::format_count(data.train.rows()), " rows of ", data.manifest.seq_len,
                                 " tokens, ", util::format_count(data.valid.rows()), " held out; unigram entropy ",
                                 util::format_fixed(data.manifest.unigram_entropy, 3), " nats per token"));
  if (data.valid.rows() == 0) {
    util::log_warning("pretrain", "no held-out rows: pack with a larger --valid-frac to see the held-out loss");
  }
  util::log_info("pretrain",
                 cat("model: ", util::format_count(state.parameters.count()), " parameters, ", describe(runtime),
                     "; batch ", config.batch.rows, " rows in passes of ", rows_per_pass));
}

}  // namespace bertcram::train
