// bertcram doctor: is this machine fit, and what is to be installed?

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "bertcram/util/error.h"
#include "bertcram/util/scratch_folder.h"
#include "bertcram/util/table.h"
#include "bertcram/util/text.h"
#include "bertcram/util/version.h"
#include "command.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kGiB = int64_t{1} << 30;

enum class State { kGood, kNote, kMissing };
constexpr std::array<const char*, 3> kWords = {"good", "note", "missing"};

/// One thing that was looked at.
struct Check {
  std::string what;
  State state = State::kGood;
  std::string found;
  std::string advice = {};  ///< empty if it is good

  const char* word() const { return kWords.at(static_cast<size_t>(state)); }
};

Check gpu_of(const train::MachineFacts& facts) {
  if (!facts.gpu) {
    return {.what = "GPU",
            .state = State::kNote,
            .found = "no NVIDIA GPU with a working driver",
            .advice = "training runs on the CPU; if there is a card, see 'nvidia-smi'"};
  }
  const train::Gpu& gpu = *facts.gpu;
  Check check = {.what = "GPU", .found = cat(gpu.name, ", ", util::format_bytes(gpu.memory_bytes))};
  if (gpu.capability < train::kFirstCapability) {
    check.state = State::kNote;
    check.advice = "older than the RTX 20 cards: this LibTorch has no kernels for it, and training runs on the CPU";
  } else if (!facts.uses_gpu) {
    check.state = State::kMissing;
    check.advice =
        "LibTorch's CUDA libraries are not installed (run ./scripts/setup.sh here), or the driver is older than 580 "
        "(see 'nvidia-smi')";
  }
  return check;
}

Check processor_of(const train::MachineFacts& facts) {
  const std::string found =
      cat(facts.cpu.empty() ? "unknown" : facts.cpu, ", ", facts.threads, facts.threads == 1 ? " thread" : " threads");
  if (facts.has_bf16_kernels) {
    return {.what = "processor", .found = found + ", AVX-512 BF16"};
  }
  if (facts.has_fp32_kernels) {
    return {.what = "processor", .found = found + ", AVX2 or AVX-512"};
  }
  return {.what = "processor",
          .state = State::kNote,
          .found = found + ", no AVX2",
          .advice = "training on it uses LibTorch's operations alone"};
}

Check memory_of(const train::MachineFacts& facts) {
  constexpr int64_t kLittle = 4 * kGiB;
  Check check = {
      .what = "memory",
      .found = cat(util::format_bytes(facts.free_bytes), " free of ", util::format_bytes(facts.memory_bytes))};
  if (facts.free_bytes < kLittle) {
    check.state = State::kNote;
    check.advice = "little for a model like BERT-base; 'bertcram plan --config NAME' says what fits";
  }
  return check;
}

/// What LibTorch says, which knows the machine. @param runtime  gets what training would take; stays empty if it cannot be loaded
std::vector<Check> training_checks(std::string& runtime) {
  try {
    const train::MachineFacts facts = training().inspect_machine();
    runtime = facts.runtime;
    return {Check{.what = "LibTorch", .found = std::string(util::torch_version())}, gpu_of(facts), processor_of(facts),
            memory_of(facts)};
  } catch (const ResourceError& error) {
    return {Check{.what = "LibTorch",
                  .state = State::kMissing,
                  .found = error.what(),
                  .advice = "run ./scripts/setup.sh and ./scripts/build.sh; text commands work without"}};
  }
}

Check disk() {
  constexpr uintmax_t kLittle = uintmax_t{10} * kGiB;
  std::error_code unknown;
  const fs::path here = fs::current_path(unknown);
  const auto space = fs::space(here, unknown);
  Check check = {
      .what = "disk",
      .found = unknown ? "unknown"
                       : cat(util::format_bytes(static_cast<int64_t>(space.available)), " free in ", here.string())};
  if (unknown || space.available < kLittle) {
    check.state = State::kNote;
    check.advice = "a checkpoint of base.yaml takes 1.4 GB, a packed corpus 2 bytes per token";
  }
  return check;
}

Check temporary_folder() {
  try {
    const util::ScratchFolder folder("doctor");
    return {.what = "temporary folder", .found = folder.path().parent_path().string()};
  } catch (const ResourceError& error) {
    return {.what = "temporary folder",
            .state = State::kNote,
            .found = error.what(),
            .advice = "'eval --text' and 'bench' need one"};
  }
}

Check parquet() {
  if (::dlopen("libbertcram_parquet.so", RTLD_NOW | RTLD_LOCAL) != nullptr) {
    return {.what = "Parquet", .found = "can be read"};
  }
  return {.what = "Parquet",
          .state = State::kNote,
          .found = "cannot be read",
          .advice = "only if your text is Parquet: run ./scripts/setup.sh and ./scripts/build.sh"};
}

Check presets(const std::vector<fs::path>& folders) {
  const auto found = std::ranges::find_if(folders, [](const fs::path& folder) {
    std::error_code ignored;
    return fs::exists(folder / "base.yaml", ignored);
  });
  if (found != folders.end()) {
    return {.what = "presets", .found = fs::weakly_canonical(*found).string()};
  }
  return {.what = "presets",
          .state = State::kNote,
          .found = "none beside the executable",
          .advice = "--config needs a path then, instead of a name such as base.yaml"};
}

std::string text_of(const std::vector<Check>& checks, const std::string& runtime) {
  util::Table table = {.word_columns = 3, .rows = {{"what", "", "found"}}};
  std::string advice;
  for (const Check& check : checks) {
    table.rows.push_back({check.what, check.word(), check.found});
    advice += check.advice.empty() ? "" : cat("- ", check.what, ": ", check.advice, "\n");
  }
  return cat(util::plain_table(table), advice.empty() ? "" : "\n" + advice,
             runtime.empty() ? "" : cat("\nTraining takes ", runtime, " here.\n"));
}

json json_of(const std::vector<Check>& checks, const std::string& runtime) {
  json list = json::array();
  for (const Check& check : checks) {
    list.push_back({{"what", check.what}, {"state", check.word()}, {"found", check.found}, {"advice", check.advice}});
  }
  return {{"fit", std::ranges::count(checks, State::kMissing, &Check::state) == 0},
          {"runtime", runtime},
          {"version", util::version()},
          {"commit", util::commit()},
          {"checks", std::move(list)}};
}

void run(bool as_json, const Session& session) {
  std::string runtime;
  std::vector<Check> checks = training_checks(runtime);
  for (const Check& check : {disk(), temporary_folder(), parquet(), presets(session.config_folders)}) {
    checks.push_back(check);
  }
  print_result(as_json, json_of(checks, runtime), text_of(checks, runtime));
  if (const auto missing = std::ranges::find(checks, State::kMissing, &Check::state); missing != checks.end()) {
    throw ResourceError(cat(missing->what, ": ", missing->advice));
  }
}

}  // namespace

Run setup_doctor(CLI::App& app) {
  const auto as_json = std::make_shared<bool>(false);
  app.add_flag("--json", *as_json, "print the result as JSON");
  return [as_json](const Session& session) { run(*as_json, session); };
}

}  // namespace bertcram::cli
