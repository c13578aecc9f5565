#include "finetune_plan.h"

#include <unistd.h>

#include <algorithm>

#include "bertcram/glue/reader.h"
#include "bertcram/glue/task_file.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;
using config::FinetuneConfig;

bool is_present(const glue::TaskSpec& task, const glue::SplitSpec& split, const fs::path& data) {
  return glue::split_availability(task, split, data) == glue::Availability::kPresent;
}

/// Why there is nothing to train on; empty if there is. A training set without a dev set is for whoever loads it to refuse.
std::string lack_of_training_data(const glue::TaskSpec& task, const fs::path& data) {
  try {
    glue::split_file(task, *task.train, data);
    return {};
  } catch (const DataError& error) {
    return error.what();
  }
}

void log_task_notes(const glue::TaskNotes& notes) {
  std::ranges::for_each(notes.facts, [](const std::string& fact) { util::log_info(kFinetuneRoom, fact); });
  std::ranges::for_each(notes.warnings, [](const std::string& warning) { util::log_warning(kFinetuneRoom, warning); });
}

/// Texts are not needed once they are encoded.
void drop_texts(glue::Dataset& dataset) {
  for (glue::Example& example : dataset.examples) {
    example.text_a = {};
    example.text_b = {};
  }
}

EncodedSplit read_and_encode(const glue::TaskSpec& task, const glue::SplitSpec& split, const fs::path& data,
                             const text::Tokenizer& tokenizer, int64_t max_tokens) {
  EncodedSplit encoded = encode_split(glue::read_split(task, split, data), split.reported_name, tokenizer, max_tokens);
  log_notes(kFinetuneRoom, encoded);
  drop_texts(encoded.dataset);
  return encoded;
}

int64_t runs_in_memory(const FinetuneConfig& config, const model::EncoderShape& shape, int64_t batch_tokens) {
  constexpr int64_t kNumberBytes = 4;
  constexpr int64_t kKeptNumbers = 40;
  const int64_t parameters = (shape.vocab + shape.max_positions) * shape.hidden +
                             shape.layers * (4 * shape.hidden * shape.hidden + 3 * shape.hidden * shape.ffn);
  const int64_t activations = kKeptNumbers * batch_tokens * shape.hidden * shape.layers;
  const int64_t bytes = kNumberBytes * (4 * parameters + activations);
  const int64_t memory = util::parse_bytes(config.runtime.memory_limit)
                             .value_or(static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE));
  return memory * 2 / 3 / std::max<int64_t>(1, bytes);
}

}  // namespace

FinetuneConfig without_protocol_values(FinetuneConfig config, const glue::Protocol& protocol) {
  if (config.dropout < 0 && config.dropout != FinetuneConfig().dropout) {
    throw ConfigError(cat("--dropout ", config.dropout, ": expected 0 to 0.9, or -1 for the protocol's"));
  }
  const auto forget = [&](auto& value, auto unset, const auto& own) {
    const auto is_own = [&](const auto& entry) { return own(entry.second) == value; };
    if (own(protocol.common) == value && std::ranges::all_of(protocol.per_task, is_own)) {
      value = unset;
    }
  };
  using Recipe = glue::FinetuneRecipe;
  forget(config.epochs, int64_t{0}, [](const Recipe& recipe) { return recipe.epochs; });
  forget(config.batch_rows, int64_t{0}, [](const Recipe& recipe) { return recipe.batch_examples; });
  forget(config.max_tokens, int64_t{0}, [](const Recipe& recipe) { return recipe.seq_len; });
  forget(config.learning_rate, 0.0,
         [](const Recipe& recipe) { return recipe.grid.empty() ? recipe.learning_rate : 0.0; });
  forget(config.dropout, -1.0, [](const Recipe& recipe) { return recipe.dropout_prob; });
  return config;
}

std::vector<glue::TaskSpec> chosen_tasks(const FinetuneConfig& config, const glue::Protocol& protocol) {
  if (!config.task_file.empty()) {
    const glue::TaskSpec task = glue::load_task_file(config.task_file, config.data);
    log_task_notes(glue::notes_on(task));
    return {task};
  }
  const std::vector<std::string> names = glue::expand_task_list(config.task);
  const fs::path data = config.data;
  if (!fs::is_directory(data)) {
    throw DataError(cat("--data ", data.string(), ": no such folder with GLUE; ", glue::how_to_get_glue(data)));
  }
  const bool is_all = util::to_lower_ascii(util::trim(config.task)) == "all";
  std::vector<glue::TaskSpec> tasks;
  for (const std::string& name : names) {
    const glue::TaskSpec& task = glue::find_task(name);
    if (const std::string lack = is_all ? lack_of_training_data(task, data) : ""; !lack.empty()) {
      util::log_warning(kFinetuneRoom, cat(task.name, ": ", lack, "; it is left out"));
      continue;
    }
    tasks.push_back(task);
  }
  if (tasks.empty()) {
    throw DataError(cat("--data ", data.string(),
                        ": no GLUE task with a training set here; expected folders such as CoLA, RTE, SST-2"));
  }
  if (config.init == config::InitFrom::kRandom) {
    return tasks;
  }
  for (size_t i = 0; i < tasks.size(); ++i) {  // what others start from is trained too
    const std::string& first = glue::recipe_for(protocol, tasks[i]).start_from;
    if (!first.empty() && std::ranges::find(tasks, first, &glue::TaskSpec::name) == tasks.end()) {
      util::log_info(kFinetuneRoom,
                     cat(tasks[i].name, " starts from the ", first, " model: ", first, " is trained too"));
      tasks.push_back(glue::find_task(first));
    }
  }
  std::ranges::stable_partition(
      tasks, [&](const glue::TaskSpec& task) { return glue::recipe_for(protocol, task).start_from.empty(); });
  return tasks;
}

glue::FinetuneRecipe chosen_recipe(const FinetuneConfig& config, const glue::Protocol& protocol,
                                   const glue::TaskSpec& task) {
  glue::FinetuneRecipe recipe = glue::recipe_for(protocol, task);
  recipe.epochs = config.epochs > 0 ? config.epochs : recipe.epochs;
  recipe.batch_examples = config.batch_rows > 0 ? config.batch_rows : recipe.batch_examples;
  recipe.seq_len = config.max_tokens > 0 ? config.max_tokens : recipe.seq_len;
  if (recipe.seq_len < model::kFewestTaskTokens) {
    throw ConfigError(
        cat("--max-tokens ", recipe.seq_len, " leaves no room for text; expected at least ", model::kFewestTaskTokens));
  }
  if (config.learning_rate > 0) {
    recipe.learning_rate = config.learning_rate;
    recipe.grid.clear();
  }
  recipe.dropout_prob = config.dropout >= 0 ? config.dropout : recipe.dropout_prob;
  recipe.seeds = config.seeds > 0 ? config.seeds : recipe.seeds;
  return recipe;
}

LoadedTask load_task(const glue::TaskSpec& spec, const glue::FinetuneRecipe& recipe, const fs::path& data,
                     const checkpoint::ModelDirectory& model) {
  if (recipe.seq_len > model.shape.max_positions) {
    util::log_warning(kFinetuneRoom, cat(spec.name, ": the model takes ", model.shape.max_positions,
                                         " tokens; longer examples are cut to that"));
  }
  LoadedTask task = {.spec = spec, .recipe = recipe, .max_tokens = text_limit(model.shape, spec, recipe.seq_len)};
  const auto read = [&](const glue::TaskSpec& of, const glue::SplitSpec& split) {
    return read_and_encode(of, split, data, *model.tokenizer, task.max_tokens);
  };
  task.train = read(spec, *spec.train);
  task.files.push_back(task.train.dataset.file);
  const auto present = glue::present_dev_splits(spec, data);
  for (const glue::SplitSpec& split : spec.dev) {
    if (std::ranges::find(present, split.reported_name, &glue::SplitSpec::reported_name) == present.end()) {
      util::log_warning(kFinetuneRoom, cat(split.reported_name, ": no dev set in ", data.string(), "; it is left out"));
    }
  }
  for (const glue::SplitSpec& split : present) {
    task.dev.push_back({.judge = spec, .split = read(spec, split)});
    task.files.push_back(task.dev.back().split.dataset.file);
  }
  for (const glue::TaskSpec& other : glue::builtin_tasks()) {  // AX
    if (other.scored_with != spec.name || !is_present(other, other.dev.front(), data)) {
      continue;
    }
    try {
      task.dev.push_back({.judge = other, .split = read(other, other.dev.front())});
      task.scored_files.push_back(task.dev.back().split.dataset.file);
    } catch (const DataError&) {
      task.left_out[other.name] = std::current_exception();
    }
  }
  util::log_info(kFinetuneRoom, cat(spec.name, ": ", util::format_count(task.train.size()), " training examples"));
  return task;
}

bool is_asked_for(const FinetuneConfig& config, const glue::TaskSpec& task) {
  return !config.task_file.empty() || std::ranges::count(glue::expand_task_list(config.task), task.name) > 0;
}

std::string start_of(const FinetuneConfig& config, const glue::FinetuneRecipe& recipe) {
  return config.init == config::InitFrom::kRandom ? "" : recipe.start_from;
}

std::set<std::string> start_tasks(const FinetuneConfig& config, const glue::Protocol& protocol,
                                  const std::vector<glue::TaskSpec>& tasks) {
  std::set<std::string> starts;
  for (const glue::TaskSpec& task : tasks) {
    starts.insert(start_of(config, chosen_recipe(config, protocol, task)));
  }
  starts.erase("");
  return starts;
}

std::vector<PlannedUnit> units_of(const glue::TaskSpec& task, const glue::FinetuneRecipe& recipe,
                                  const FinetuneConfig& config, const std::set<std::string>& starts) {
  const std::vector<double> rates = recipe.grid.empty() ? std::vector<double>{0.0} : recipe.grid;
  const int64_t seeds = is_asked_for(config, task) ? recipe.seeds : 0;
  std::vector<PlannedUnit> units;
  if (starts.contains(task.name) && (seeds == 0 || config.first_seed > kStartSeed)) {
    units.push_back({.id = {.task = task.name, .seed = kStartSeed}});
  }
  for (int64_t seed = config.first_seed; seed < config.first_seed + seeds; ++seed) {
    for (const double rate : rates) {
      units.push_back(
          {.id = {.task = task.name, .seed = seed, .grid_rate = rate}, .start_from = start_of(config, recipe)});
    }
  }
  return units;
}

int64_t runs_side_by_side(const FinetuneConfig& config, const Runtime& runtime, const model::EncoderShape& shape,
                          const Workload& work) {
  if (!runtime.device.is_cpu()) {
    if (config.jobs > 1) {
      util::log_warning(kFinetuneRoom, "--jobs: runs go one after the other on a GPU");
    }
    return 1;
  }
  return config.jobs > 0 ? std::min(config.jobs, work.runs)
                         : std::clamp<int64_t>(runs_in_memory(config, shape, work.batch_tokens), 1,
                                               std::min(runtime.threads, work.runs));
}

}  // namespace bertcram::train
