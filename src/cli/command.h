#pragma once
// A subcommand: one file each, registered in main's table.

#include <CLI/App.hpp>
#include <filesystem>
#include <functional>
#include <vector>

#include "bertcram/util/progress.h"
#include "bertcram/util/stop.h"

namespace bertcram::cli {

/// What every command gets besides its own options.
struct Session {
  util::StopFlag& stop;
  util::ProgressStyle progress = util::ProgressStyle::kAuto;
  std::vector<std::filesystem::path> config_folders;  ///< where configs are looked up by name
};

/// Runs the command after its options were parsed.
using Run = std::function<void(const Session&)>;

struct Command {
  const char* name;
  const char* summary;
  const char* example;  ///< shown by --help; works as typed
  Run (*setup)(CLI::App& app);
};

Run setup_tokenize(CLI::App& app);
Run setup_encode(CLI::App& app);
Run setup_pack(CLI::App& app);
Run setup_pretrain(CLI::App& app);
Run setup_finetune_glue(CLI::App& app);
Run setup_eval(CLI::App& app);
Run setup_embed(CLI::App& app);
Run setup_fill_mask(CLI::App& app);
Run setup_predict(CLI::App& app);
Run setup_bench(CLI::App& app);
Run setup_plan(CLI::App& app);
Run setup_doctor(CLI::App& app);
Run setup_report(CLI::App& app);
Run setup_serve(CLI::App& app);
Run setup_config(CLI::App& app);

}  // namespace bertcram::cli
