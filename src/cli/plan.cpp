// bertcram plan: what fits, how fast it will be and how far a budget goes.

#include "bertcram/plan/plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/plan/record.h"
#include "bertcram/util/error.h"
#include "bertcram/util/table.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

using nlohmann::json;
using plan::Plan;

struct Words {
  std::string gpu;
  std::optional<int64_t> vocab_size;
  std::optional<int64_t> seq_len;
  int64_t glue_epochs = 5;
  bool as_json = false;
};

std::string name_of(config::Precision precision) {
  return std::string(config::enum_words(config::Precision{})[static_cast<size_t>(precision)]);
}

std::string fixed(double value, int digits) { return util::format_fixed(value, digits); }
std::string count(double value) { return util::format_count(std::llround(value)); }

/// What memory goes to, in the order it is taken.
std::vector<std::pair<const char*, int64_t>> categories(const plan::MemoryNeed& memory) {
  return {{"driver_and_desktop", memory.driver_and_desktop},
          {"runtime", memory.runtime},
          {"masters", memory.masters},
          {"gradients", memory.gradients},
          {"moments", memory.moments},
          {"compute_copy", memory.compute_copy},
          {"packed_weights", memory.packed_weights},
          {"activations", memory.activations},
          {"workspace", memory.workspace}};
}

double seconds_of_glue(const Plan& plan) {
  return std::accumulate(plan.glue.begin(), plan.glue.end(), 0.0,
                         [](double sum, const plan::TaskTime& task) { return sum + task.seconds; });
}

json json_of(const Plan& plan, const std::optional<plan::Record>& record) {
  json out = {{"machine", plan.machine.name},
              {"precision", name_of(plan.machine.precision)},
              {"is_measured", plan.machine.is_measured},
              {"peak_flops", plan.machine.flops},
              {"memory_bytes_per_second", plan.machine.bytes_per_second},
              {"parameters", plan.workload.parameters},
              {"flops_per_token", plan.workload.flops_per_token},
              {"seq_len", plan.workload.seq_len},
              {"fits", plan.advice.empty()},
              {"advice", plan.advice},
              {"micro_batch", plan.micro_rows},
              {"largest_micro_batch", plan.largest_rows.value_or(0)},
              {"recompute", plan.recomputes},
              {"memory_limit_bytes", plan.machine.memory_bytes},
              {"tokens_per_second", plan.tokens_per_second},
              {"mfu", plan.mfu},
              {"calibration", plan.calibration}};
  for (const auto& [name, bytes] : categories(plan.memory)) {
    out["memory_bytes"][name] = bytes;
  }
  out["memory_bytes"]["total"] = plan.memory.total();
  if (record) {
    out["bench"] = {{"what", record->what},
                    {"measured", record->measured},
                    {"predicted", record->predicted},
                    {"unix_time", record->unix_time}};
  }
  if (plan.reach) {
    json& budget = out["budget"] = {{"seconds", plan.reach->seconds},
                                    {"tokens", plan.reach->tokens},
                                    {"steps", plan.reach->steps},
                                    {"flops", plan.reach->flops}};
    budget["epochs"] = plan.reach->epochs ? json(*plan.reach->epochs) : json();
    budget["kilowatt_hours"] = plan.reach->kilowatt_hours ? json(*plan.reach->kilowatt_hours) : json();
  }
  for (const plan::TaskTime& task : plan.glue) {
    out["glue"]["tasks"][std::string(task.task)] = {{"examples", task.examples}, {"seconds", task.seconds}};
  }
  out["glue"]["seconds"] = seconds_of_glue(plan);
  return out;
}

std::string memory_text(const Plan& plan) {
  util::Table table = {.rows = {{"memory", ""}}};
  for (const auto& [name, bytes] : categories(plan.memory)) {
    if (bytes > 0) {
      std::string words = name;
      std::ranges::replace(words, '_', ' ');
      table.rows.push_back({words, util::format_bytes(bytes)});
    }
  }
  table.rows.push_back(
      {"total", cat(util::format_bytes(plan.memory.total()), " of ", util::format_bytes(plan.machine.memory_bytes))});
  return util::plain_table(table);
}

/// "1.371 exaFLOP", "45.2 teraFLOP"
std::string work_text(double flops) {
  constexpr std::array<std::pair<const char*, double>, 4> kUnits = {
      {{"exa", 1e18}, {"peta", 1e15}, {"tera", 1e12}, {"giga", 1e9}}};
  const auto* const unit =
      std::ranges::find_if(kUnits, [&](const auto& each) { return flops >= each.second || &each == &kUnits.back(); });
  const double count = flops / unit->second;
  return cat(fixed(count, count < 10 ? 3 : 1), " ", unit->first, "FLOP");
}

std::string reach_text(const Plan& plan) {
  const plan::Reach& reach = *plan.reach;
  std::string text = cat(util::format_duration(reach.seconds), ": ", util::format_count(reach.tokens), " tokens, ",
                         util::format_count(reach.steps), " steps, ", work_text(reach.flops));
  if (reach.epochs) {
    text += cat(", ", fixed(*reach.epochs, 2), " times through the data");
  }
  if (reach.kilowatt_hours) {
    text += cat(", at most ", fixed(*reach.kilowatt_hours, 1), " kWh of the card");
  }
  return text + "\n";
}

std::string text_of(const Plan& plan, const std::optional<plan::Record>& record) {
  constexpr double kTera = 1e12;
  constexpr double kGiga = 1e9;
  std::string text =
      cat(plan.machine.name, ", ", name_of(plan.machine.precision), ": ", fixed(plan.machine.flops / kTera, 2),
          " TFLOP/s and ", fixed(plan.machine.bytes_per_second / kGiga, 0), " GB/s ",
          plan.machine.is_measured ? "measured just now" : "by its data sheet", "\n",
          util::format_count(plan.workload.parameters), " parameters, ", fixed(plan.workload.flops_per_token / 1e6, 1),
          " MFLOP per token, rows of ", plan.workload.seq_len, " tokens\n\n", memory_text(plan), "\n");
  if (!plan.advice.empty()) {
    text += "it does not fit. What would help:\n";
    for (const std::string& line : plan.advice) {
      text += cat("  ", line, "\n");
    }
    return text;
  }
  text +=
      cat(plan.micro_rows, " rows per pass", plan.recomputes ? ", activations computed again" : "", "; ",
          plan.largest_rows == plan.micro_rows ? "" : cat("at most ", *plan.largest_rows, " would fit; "),
          count(plan.tokens_per_second), " tokens/s, ", fixed(100 * plan.mfu, 0), " % of the rate of large products");
  text += record ? cat(" (as 'bertcram bench' measured ", fixed(100 * record->share(), 0), " % of the prediction for ",
                       record->what, ")\n")
          : plan.machine.is_measured ? " (an estimate; after 'bertcram bench' a better one)\n"
                                     : " (an estimate that no such card has confirmed yet)\n";
  if (plan.reach) {
    text += reach_text(plan);
  }
  text += cat("GLUE, ", plan.glue.size(), " tasks once each, ", plan.glue_epochs,
              " epochs: ", util::format_duration(seconds_of_glue(plan)), " of training\n");
  return text;
}

std::string cards_text() {
  util::Table table = {.rows = {{"--gpu", "card", "GiB", "TFLOP/s", "in fp32", "GB/s", "W"}}};
  for (const plan::Card& card : plan::cards()) {
    table.rows.push_back({std::string(card.key), std::string(card.title), fixed(card.memory_gib, 0),
                          fixed(card.tensor_tflops, 1), fixed(card.fp32_tflops, 1), fixed(card.gigabytes_per_second, 0),
                          fixed(card.watts, 0)});
  }
  return util::plain_table(table);
}

json cards_json() {
  json out;
  for (const plan::Card& card : plan::cards()) {
    out["cards"].push_back({{"gpu", card.key},
                            {"title", card.title},
                            {"memory_gib", card.memory_gib},
                            {"tensor_tflops", card.tensor_tflops},
                            {"fp32_tflops", card.fp32_tflops},
                            {"gigabytes_per_second", card.gigabytes_per_second},
                            {"watts", card.watts},
                            {"has_bf16", card.has_bf16}});
  }
  return out;
}

plan::Machine machine_for(const config::PretrainConfig& config, const Words& words) {
  if (words.gpu.empty()) {
    return training().measure_machine(config.runtime);
  }
  const plan::Card* const card = plan::find_card(words.gpu);
  if (card == nullptr) {
    throw ConfigError(cat("--gpu: no card '", words.gpu, "' in the list; 'bertcram plan --gpu list' shows it"));
  }
  return plan::machine_of(*card, config.runtime);
}

/// What is said twice on one command line, and not alike, is a mistake that no answer should hide.
void check_consistent(const config::PretrainConfig& config, const Words& words, const ConfigFlags& flags) {
  auto problems = config::budget_contradictions(config.budget);
  if (!words.gpu.empty() && flags.gives("runtime.device") && config.runtime.device == config::DeviceKind::kCpu) {
    problems.push_back(
        cat("--gpu ", words.gpu, " asks for a card, --device cpu for this machine's CPU: give one of them"));
  }
  if (!problems.empty()) {
    throw ConfigError(util::join(problems, "\n"));
  }
}

/// @param said  by the option, if it is given  @param packed  what the data has
void require_same(const char* option, std::optional<int64_t> said, int64_t packed, const std::string& data) {
  if (said && *said != packed) {
    throw ConfigError(cat(option, " ", *said, ", but --data ", data, " has ", packed, ": give one of them"));
  }
}

void run(const config::PretrainConfig& config, const Words& words, const ConfigFlags& flags) {
  if (words.gpu == "list") {
    print_result(words.as_json, cards_json(), cards_text());
    return;
  }
  check_consistent(config, words, flags);
  const glue::FinetuneRecipe protocol = glue::sane_protocol().common;
  plan::PlanOptions options = {.glue_epochs = words.glue_epochs,
                               .glue_batch_examples = protocol.batch_examples,
                               .glue_dropout = protocol.dropout_prob};
  options.seq_len = std::min(options.seq_len, config.model.max_positions);
  if (!config.data.empty()) {
    const data::PackedManifest manifest = data::read_packed_manifest(config.data);
    if (flags.gives("data")) {  // with data of a configuration file they are a question of "what if"
      require_same("--vocab-size", words.vocab_size, manifest.vocab_size, config.data);
      require_same("--seq-len", words.seq_len, manifest.seq_len, config.data);
    }
    options.vocab_size = manifest.vocab_size;
    options.seq_len = manifest.seq_len;
    options.train_rows = 0;
    for (const auto& shard : manifest.train_shards) {
      *options.train_rows += shard.rows;
    }
  }
  options.vocab_size = words.vocab_size.value_or(options.vocab_size);
  options.seq_len = words.seq_len.value_or(options.seq_len);
  const plan::Machine machine = machine_for(config, words);
  const auto record = machine.is_measured ? plan::find_record(machine) : std::nullopt;
  options.calibration = record ? record->share() : 1.0;
  const Plan plan = plan::make_plan(config, options, machine);
  print_result(words.as_json, json_of(plan, record), text_of(plan, record));
}

}  // namespace

Run setup_plan(CLI::App& app) {
  const auto config = std::make_shared<config::PretrainConfig>();
  const auto words = std::make_shared<Words>();
  const auto fields = config::fields_of(*config);
  ConfigFlags flags(app);
  app.add_option("--gpu", words->gpu,
                 "a card of the list that '--gpu list' prints, e.g. 3060ti [this machine, measured]")
      ->type_name("NAME");
  flags.add("--data", "data", fields);
  flags.add("--budget", "budget.time", fields);
  flags.add("--steps", "budget.steps", fields);
  flags.add("--tokens", "budget.tokens", fields);
  flags.add_runtime(fields);
  flags.add("--memory-limit", "runtime.memory_limit", fields);
  flags.add_config_options();
  constexpr int64_t kMostIds = 10'000'000;
  take_count(app.add_option("--vocab-size", words->vocab_size, "entries of the vocabulary [that of --data, or 32768]"),
             16, kMostIds);
  take_count(app.add_option("--seq-len", words->seq_len,
                            "tokens per row [those of --data, or 128, at most what the model takes]"),
             8, 65'536);
  take_count(app.add_option("--glue-epochs", words->glue_epochs, "passes over GLUE's training sets [5]"), 1, 100);
  app.add_flag("--json", words->as_json, "print the result as JSON");
  return [config, words, flags](const Session& session) {
    flags.apply(config::fields_of(*config), session);
    run(*config, *words, flags);
  };
}

}  // namespace bertcram::cli
