// bertcram config: the resolved configuration of a command, every key with its meaning.

#include <algorithm>
#include <array>

#include "bertcram/config/embed_config.h"
#include "bertcram/config/eval_config.h"
#include "bertcram/config/finetune_config.h"
#include "bertcram/config/pack_config.h"
#include "bertcram/config/predict_config.h"
#include "bertcram/config/pretrain_config.h"
#include "bertcram/config/tokenize_config.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "output.h"

namespace bertcram::cli {
namespace {

/// Applies the sources to one command's configuration and dumps it.
template <class Config>
std::string dump(const ConfigFlags& flags, const Session& session) {
  Config config;
  flags.apply(config::fields_of(config), session);
  return config::dump_yaml(config::fields_of(config), config::DumpStyle::kCommented);
}

struct Target {
  const char* command;
  std::string (*dump)(const ConfigFlags&, const Session&);
};
constexpr std::array<Target, 8> kTargets = {{{"pretrain", dump<config::PretrainConfig>},
                                             {"finetune-glue", dump<config::FinetuneConfig>},
                                             {"tokenize", dump<config::TokenizeConfig>},
                                             {"pack", dump<config::PackConfig>},
                                             {"eval", dump<config::EvalConfig>},
                                             {"embed", dump<config::EmbedConfig>},
                                             {"fill-mask", dump<config::FillMaskConfig>},
                                             {"predict", dump<config::PredictConfig>}}};

std::vector<std::string> targets() {
  std::vector<std::string> names;
  names.reserve(kTargets.size());
  for (const Target& target : kTargets) {
    names.emplace_back(target.command);
  }
  return names;
}

/// "; did you mean 'finetune-glue'?" for `finetune` and for slips; empty if no name is near.
std::string did_you_mean(const std::string& command) {
  const auto names = targets();
  const auto longer = std::ranges::find_if(names, [&](const auto& name) { return name.starts_with(command + "-"); });
  const auto meant = longer != names.end() ? *longer : util::nearest_name(command, names);
  return meant ? "; did you mean '" + *meant + "'?" : "";
}

void run(const std::string& command, const ConfigFlags& flags, const Session& session) {
  const auto target = std::ranges::find_if(kTargets, [&](const Target& each) { return command == each.command; });
  if (target == kTargets.end()) {
    throw ConfigError(cat("config: no configuration for '", command, "', there is one for ",
                          util::join(targets(), ", "), did_you_mean(command)));
  }
  print_result(/*as_json=*/false, {}, target->dump(flags, session));
}

}  // namespace

Run setup_config(CLI::App& app) {
  const auto command = std::make_shared<std::string>("pretrain");
  ConfigFlags flags(app);
  flags.add_config_options();
  app.add_option("command", *command, cat("whose configuration: ", util::join(targets(), ", "), " [pretrain]"));
  return [command, flags](const Session& session) { run(*command, flags, session); };
}

}  // namespace bertcram::cli
