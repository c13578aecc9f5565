// bertcram config: the resolved configuration of a command, every key with its meaning.

#include "bertcram/config/commands.h"
#include "bertcram/config/resolve.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "output.h"

namespace bertcram::cli {
namespace {

std::vector<std::string> targets() {
  std::vector<std::string> names;
  config::for_each_command([&](const char* command, const auto&) { names.emplace_back(command); });
  return names;
}

void run(const std::string& target, const ConfigFlags& flags, const Session& session) {
  bool found = false;
  config::for_each_command([&](const char* command, auto config) {
    if (target == command) {
      found = true;
      flags.apply(config::fields_of(config), session);
      print_result(/*as_json=*/false, {}, config::dump_yaml(config::fields_of(config), config::DumpStyle::kCommented));
    }
  });
  if (!found) {
    const auto nearest = util::nearest_command(target, targets());
    throw ConfigError(cat("config: no configuration for '", target, "', there is one for ", util::join(targets(), ", "),
                          nearest ? "; did you mean '" + *nearest + "'?" : ""));
  }
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
