// bertcram: one executable, one table of commands; the only place that turns errors into exit codes.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <exception>
#include <optional>
#include <span>
#include <sstream>
#include <string_view>
#include <vector>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/out_of_memory.h"
#include "bertcram/util/text.h"
#include "bertcram/util/version.h"
#include "cli/command.h"
#include "cli/output.h"

namespace {

using bertcram::cat;
using bertcram::ExitCode;
using bertcram::cli::Command;

constexpr std::array<Command, 15> kCommands = {{
    {"tokenize", "train a tokenizer from raw text",
     "bertcram tokenize --input corpus/*.txt.zst --output tokenizer --vocab-size 8192", bertcram::cli::setup_tokenize},
    {"encode", "text lines on stdin to token ids on stdout",
     "echo 'Hello, world!' | bertcram encode --tokenizer tokenizer", bertcram::cli::setup_encode},
    {"pack", "text to shuffled, packed token shards",
     "bertcram pack --input corpus/*.txt.zst --tokenizer tokenizer --output packed", bertcram::cli::setup_pack},
    {"pretrain", "train an encoder; continues its own run after any interruption",
     "bertcram pretrain --config mini.yaml --data packed --output runs/first --budget 15m",
     bertcram::cli::setup_pretrain},
    {"finetune-glue", "fine-tune and score GLUE tasks or own ones",
     "bertcram finetune-glue --task rte,mrpc --model runs/first/model --seeds 3", bertcram::cli::setup_finetune_glue},
    {"eval", "held-out loss of a model, or the dev score of a fine-tuned one",
     "bertcram eval --model runs/first/model --data packed", bertcram::cli::setup_eval},
    {"embed", "text lines on stdin to sentence vectors on stdout",
     "echo 'Hello, world!' | bertcram embed --model runs/first/model --json", bertcram::cli::setup_embed},
    {"fill-mask", "text lines with [MASK] on stdin to what a model expects there on stdout",
     "echo 'the capital of [MASK] is paris .' | bertcram fill-mask --model runs/first/model",
     bertcram::cli::setup_fill_mask},
    {"predict", "text lines on stdin to labels of a fine-tuned model on stdout",
     "printf 'A man sleeps.\\tSomebody rests.\\n' | bertcram predict --model runs/first/glue/rte",
     bertcram::cli::setup_predict},
    {"bench", "tokens per second of training here, and where the time goes", "bertcram bench --config mini.yaml",
     bertcram::cli::setup_bench},
    {"plan", "what fits, how fast it will be and how far a budget goes, on this machine or a card",
     "bertcram plan --config base.yaml --gpu 3060ti --budget 100h", bertcram::cli::setup_plan},
    {"doctor", "is this machine fit, and what is to be installed", "bertcram doctor", bertcram::cli::setup_doctor},
    {"report", "training runs to one HTML file with plots, scores and settings", "bertcram report runs/first",
     bertcram::cli::setup_report},
    {"serve", "live dashboard of training runs, in a browser", "bertcram serve --runs runs",
     bertcram::cli::setup_serve},
    {"config", "print the resolved configuration, every key with its meaning",
     "bertcram config pretrain --config mini.yaml --set batch.rows=64", bertcram::cli::setup_config},
}};

// Written by the signal handlers, which can reach nothing but a global.
bertcram::util::StopFlag g_stop;

std::atomic<time_t> g_first_signal = 0;  // seconds of the monotonic clock

/// What schedulers warn with, some of them every second.
void request_stop_without_haste(int signal_number) {
  if (!g_stop.requested()) {
    g_stop.request(signal_number);
  }
}

/// The first one asks to stop. A second one ends the process at once, unless it comes so soon that it is meant as the
/// same: schedulers and impatient fingers send several.
void request_stop(int signal_number) {
  constexpr time_t kPatienceSeconds = 2;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  if (g_first_signal == 0) {
    g_first_signal = now.tv_sec;
    request_stop_without_haste(signal_number);
  } else if (now.tv_sec - g_first_signal > kPatienceSeconds) {
    std::signal(signal_number, SIG_DFL);
    std::raise(signal_number);
  }
}

/// A page of a mapped file that is no longer there: the file was cut while it was read, or its disk fails.
void end_on_lost_page(int /*signal_number*/) {
  constexpr std::string_view kMessage =
      "bertcram: a file that was being read (data or model) has become shorter, or its disk fails\n";
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  ::_exit(static_cast<int>(ExitCode::kData));
}

/// A descriptor 0 to 2 that is closed would become that of the first file to be opened, which then got the log's lines.
void open_standard_streams() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(number, F_GETFD) < 0) {
      ::open("/dev/null", O_RDWR);  // takes the smallest number that is free
    }
  }
}

void handle_signals() {
  for (const int number : {SIGINT, SIGHUP}) {
    if (std::signal(number, request_stop) == SIG_IGN) {  // a script's job in the background, nohup
      std::signal(number, SIG_IGN);
    }
  }
  std::signal(SIGTERM, request_stop);
  std::signal(SIGUSR1, request_stop_without_haste);
  std::signal(SIGXCPU, request_stop_without_haste);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of the write
  std::signal(SIGBUS, end_on_lost_page);
}

/// Folders in which `--config NAME` is looked up: beside the sources, and installed beside the executable.
std::vector<std::filesystem::path> config_folders() {
  std::error_code ignored;
  const auto executable = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  return {executable / "configs", executable.parent_path() / "configs",
          executable.parent_path() / "share/bertcram/configs"};
}

struct GlobalOptions {
  bool quiet = false;
  bool verbose = false;
  std::string log_file;
};

constexpr const char* kEverywhere = "Everywhere: --quiet, --verbose, --log-file FILE ('bertcram --help' says more)";
constexpr const char* kMainExample =
    "bertcram pretrain --config mini.yaml --data packed --output runs/first --budget 15m";

void add_global_options(CLI::App& app, GlobalOptions& options) {
  app.add_flag("--quiet", options.quiet, "no progress, only warnings and errors on stderr");
  app.add_flag("--verbose", options.verbose, "more detail on stderr");
  app.add_option("--log-file", options.log_file, "copy the log to this file");
}

/// Whether one option may be a slip of the other: `--text` is two letters off `--set`, and means something else.
bool may_mean(const std::string& word, const std::string& option) {
  constexpr size_t kFirstLetter = 2;
  return word.substr(0, kFirstLetter + 1) == option.substr(0, kFirstLetter + 1) ||
         bertcram::util::edit_distance(word, option) == 1;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    names.push_back(option->get_name());
  }
  return names;
}

/// @param nearest  the name that may be meant  @param help  what to look at if there is none
std::string did_you_mean(const std::optional<std::string>& nearest, const std::string& help = "see 'bertcram --help'") {
  return "; " + (nearest ? "did you mean '" + *nearest + "'?" : help);
}

/// Where a command tells its options; most values of a configuration have none of their own.
std::string help_of(const CLI::App& command) {
  const std::string help = cat("see 'bertcram ", command.get_name(), " --help'");
  return command.get_option_no_throw("--set") == nullptr
             ? help
             : help + ", or give a value of the configuration with --set KEY=VALUE ('bertcram config' shows the keys)";
}

constexpr std::string_view kLogFile = "--log-file";  // its value is no command

/// What to say of the first word that is no option, where no command was found; empty if all are options.
std::string unknown_command(std::span<const char* const> words) {
  std::vector<std::string> commands;
  commands.reserve(std::size(kCommands));
  for (const Command& command : kCommands) {
    commands.emplace_back(command.name);
  }
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word = words[i];
    if (word == kLogFile) {
      ++i;
    } else if (!word.starts_with("-")) {
      return cat("unknown command '", word, "'", did_you_mean(bertcram::util::nearest_command(word, commands)));
    }
  }
  return "";
}

/// A configuration that was given without its --config; empty if there is none.
std::string config_without_option(const CLI::App& app, const CLI::App& command) {
  if (command.get_option_no_throw("--config") != nullptr) {
    for (const std::string& word : app.remaining(/*recurse=*/true)) {
      if (word.ends_with(".yaml") || word.ends_with(".yml")) {
        return word;
      }
    }
  }
  return "";
}

/// The usage error behind CLI11's: the first option or command that does not exist, with the nearest that does.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, std::span<const char* const> words) {
  const auto chosen = app.get_subcommands();
  std::vector<std::string> options = option_names(app);
  if (!chosen.empty()) {
    const auto own = option_names(*chosen.front());
    options.insert(options.end(), own.begin(), own.end());
  }
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string argument = words[i];
    const std::string word = argument.substr(0, argument.find('='));
    if (argument == kLogFile) {
      ++i;
      continue;
    }
    if (word.starts_with("--") && std::ranges::find(options, word) == options.end()) {
      std::erase_if(options, [&](const std::string& name) { return !may_mean(word, name); });
      const auto nearest = bertcram::util::nearest_name(word, options);
      return cat("unknown option '", word, "'",
                 chosen.empty() ? did_you_mean(nearest) : did_you_mean(nearest, help_of(*chosen.front())));
    }
    if (chosen.empty() && !word.starts_with("-")) {
      return unknown_command(words.subspan(i));
    }
  }
  if (!chosen.empty() && dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    if (const std::string file = config_without_option(app, *chosen.front()); !file.empty()) {
      return cat("unexpected '", file, "'; did you mean '--config ", file, "'?");
    }
  }
  return cat(error.what(), "; see 'bertcram ", chosen.empty() ? "" : chosen.front()->get_name() + " ", "--help'");
}

/// With `help` and `help COMMAND`, as people try them, turned into --help and COMMAND --help.
std::vector<const char*> with_help_as_option(std::span<const char* const> arguments) {
  std::vector<const char*> words(arguments.begin(), arguments.end());
  if (words.size() > 1 && std::string_view(words[1]) == "help") {
    words.erase(words.begin() + 1);
    words.push_back("--help");
  }
  return words;
}

/// Parses, runs one command; throws what goes wrong.
void run(int argc, char** argv) {
  CLI::App app("From raw text to a BERT-style encoder and its GLUE scores, on one small GPU or CPU.", "bertcram");
  app.set_version_flag("--version", cat("bertcram ", bertcram::util::version(), " (", bertcram::util::commit(),
                                        "), LibTorch ", bertcram::util::torch_version()));
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(cat("\n'bertcram COMMAND --help' shows the options of a command.\n\nExample:\n  ", kMainExample));
  GlobalOptions options;
  add_global_options(app, options);
  bertcram::cli::Run chosen;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->footer(cat("\n", kEverywhere, "\n\nExample:\n  ", command.example));
    auto run_command = command.setup(*sub);
    sub->callback([&chosen, run_command] { chosen = run_command; });
  }
  const auto arguments = with_help_as_option(std::span(argv, static_cast<size_t>(argc)));
  const auto words = std::span(arguments).subspan(1);
  try {
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::Success& request) {  // --help, --version
    if (const std::string odd = app.get_subcommands().empty() ? unknown_command(words) : ""; !odd.empty()) {
      throw bertcram::ConfigError(odd);
    }
    std::ostringstream help;
    app.exit(request, help);
    bertcram::cli::write_stdout(help.str());
    return;
  } catch (const CLI::ParseError& error) {
    throw bertcram::ConfigError(usage_message(app, error, words));
  }
  using bertcram::util::LogLevel;
  bertcram::util::configure_logging(
      {.level = options.quiet ? LogLevel::kWarning : (options.verbose ? LogLevel::kDebug : LogLevel::kInfo),
       .file = options.log_file});
  chosen({.stop = g_stop,
          .progress = options.quiet ? bertcram::util::ProgressStyle::kQuiet : bertcram::util::ProgressStyle::kAuto,
          .config_folders = config_folders()});
}

int report(ExitCode code, const std::string& message) {
  for (const std::string_view line : bertcram::util::split(message, '\n')) {
    bertcram::util::log_error("bertcram", std::string(line));
  }
  return static_cast<int>(code);
}

constexpr const char* kOutOfMemory =
    "out of memory; when training, use fewer rows per pass (pretrain: --set batch.micro_rows=N, finetune-glue: "
    "--micro-rows "
    "N), a smaller model or a higher --memory-limit if one is set, otherwise fewer --threads";

/// What a file-system call fails for: something on the user's side, or something that ran out or is forbidden.
ExitCode exit_code_of(const std::error_code& error) {
  constexpr std::array kInput = {ENOENT, ELOOP, ENOTDIR, EISDIR, EINVAL, ENAMETOOLONG};
  return std::ranges::find(kInput, error.value()) != kInput.end() ? ExitCode::kData : ExitCode::kResources;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  handle_signals();
  try {
    run(argc, argv);
    return static_cast<int>(ExitCode::kDone);
  } catch (const bertcram::Error& error) {
    return report(error.code(), error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    const std::string path = error.path1().string();  // empty where a call has none, as for the working directory
    return report(exit_code_of(error.code()),
                  path.empty() ? std::string(error.what()) : cat(path, ": ", error.code().message()));
  } catch (const std::exception& error) {
    const std::string message = error.what();
    if (bertcram::util::is_out_of_memory(error)) {
      return report(ExitCode::kResources, kOutOfMemory);
    }
    return report(ExitCode::kBug, cat("internal error: ", message.substr(0, message.find('\n')),
                                      "; please report this with the command that led here"));
  }
}
