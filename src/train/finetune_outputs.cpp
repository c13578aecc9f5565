#include "finetune_outputs.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>

#include "bertcram/glue/bag_of_words.h"
#include "bertcram/glue/mistakes.h"
#include "bertcram/glue/reader.h"
#include "bertcram/glue/submission.h"
#include "bertcram/glue/unit.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "finetune_plan.h"
#include "task_model.h"
#include "unit_runner.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;
using config::FinetuneConfig;
using nlohmann::json;

const BestRun* run_of(const std::vector<BestRun>& runs, const std::string& task) {
  const auto found = std::ranges::find_if(runs, [&](const BestRun& run) { return run.task.name == task; });
  return found == runs.end() ? nullptr : &*found;
}

bool has_test_set(const glue::SubmissionEntry& entry, const fs::path& data) {
  const glue::TaskSpec& task = glue::find_task(entry.task);
  return glue::split_availability(task, glue::test_split_of(entry), data) == glue::Availability::kPresent;
}

std::string test_file_hash(const glue::SubmissionEntry& entry, const fs::path& data) {
  return util::hash_file(glue::split_file(glue::find_task(entry.task), glue::test_split_of(entry), data)).hex();
}

/// Whether the best model of the task, of whatever command, is in the output folder.
bool is_kept(const FinetuneConfig& config, const std::string& task) {
  return fs::exists(config::results_folder(config) / task / "config.json");
}

/// Answers of a fine-tuned model for one test set.
std::vector<std::string> answers_of(const FinetuneConfig& config, const glue::SubmissionEntry& entry,
                                    const BestRun& run, const util::StopFlag& stop) {
  const fs::path folder = run.folder / UnitRunner::kModelFolder;
  if (!fs::exists(folder / "config.json")) {
    throw DataError(cat(folder.string(), ": this model was not kept, and the test sets need it; remove ",
                        run.folder.string(), ", and the same command trains it again"));
  }
  const glue::TaskSpec& task = glue::find_task(entry.task);
  const TaskModel model(folder, task, config.runtime);
  const EncodedSplit split = model.encode(glue::read_split(task, glue::test_split_of(entry), config.data), entry.name);
  log_notes(kFinetuneRoom, split);
  const auto outputs = model.outputs(split, stop);
  if (!outputs) {
    throw util::StoppedError(stop, "finetune-glue: stopped while answering the test sets; the same command goes on");
  }
  return glue::submission_answers(task, *outputs);
}

/// As configured; `zip` means submission.zip in the output folder.
fs::path submission_path(const FinetuneConfig& config) {
  return config.submission == "zip" ? config::results_folder(config) / "submission.zip" : fs::path(config.submission);
}

/// @throws ConfigError, ResourceError if the zip could not be written there, or would replace what is no zip
void check_submission_path(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    throw ConfigError(cat("--submission ", path.string(), " is a folder; give the name of a file, such as my.zip"));
  }
  if (path.extension() != ".zip") {
    throw ConfigError(cat("--submission ", path.string(), ": the name has to end in .zip, so that no other file is ",
                          "replaced; or give zip, for submission.zip beside the results"));
  }
  fs::path folder = fs::absolute(path).parent_path();
  while (!fs::exists(folder, ignored) && folder.has_relative_path()) {  // it is made
    folder = folder.parent_path();
  }
  util::make_writable_directory(folder);
}

/// Answers the test sets, unless that was done with the same run, and writes the zip.
void write_submission(const FinetuneConfig& config, const FinetuneFolder& folder, const BestRuns& runs,
                      const util::StopFlag& stop) {
  const fs::path answers = folder.file("test");
  const fs::path record_file = answers / "made_by.json";  // which run answered which test set
  json record = json::object();
  if (fs::exists(record_file)) {
    record = util::try_parse_json(util::read_file(record_file));
    record = record.is_object() ? record : json::object();
  }
  std::map<std::string, std::string> files;
  std::vector<std::string> filled;
  for (const glue::SubmissionEntry& entry : glue::submission_entries()) {
    const BestRun* run = run_of(runs.asked, entry.model);
    bool is_lost = false;
    if (run == nullptr) {
      run = run_of(runs.others, entry.model);
      is_lost = run != nullptr && !folder.has_model(run->id);
    }
    if (run == nullptr || is_lost || !has_test_set(entry, config.data)) {
      files[entry.name] = glue::usual_submission_text(entry);
      filled.push_back(cat(entry.name, is_lost ? cat(" (the model of ", entry.model, " was not kept)") : ""));
      continue;
    }
    const fs::path file = answers / (entry.name + ".tsv");
    const auto source_with = [&](const std::string& text) {
      return cat(run->id.folder(), " ", util::hash_file(run->folder / glue::kUnitFile).hex(), " ",
                 test_file_hash(entry, config.data), " ", util::hash128(text).hex());
    };
    std::string text = fs::exists(file) ? util::read_file(file) : std::string();
    if (util::text_member(record, entry.name.c_str()) != source_with(text)) {  // of another run or file, or edited
      text = glue::submission_text(answers_of(config, entry, *run, stop));
      util::write_file_atomically(file, text);
      record[entry.name] = source_with(text);
      util::write_file_atomically(record_file, util::json_text(record, 1) + "\n");
    }
    if (const int64_t rows = std::ranges::count(text, '\n') - 1; rows != entry.rows) {
      util::log_warning(kFinetuneRoom,
                        cat(entry.name, ": ", util::format_count(rows), " answers; the official test set has ",
                            util::format_count(entry.rows), " rows, and the GLUE site takes no other"));
    }
    files[entry.name] = std::move(text);
  }
  if (!filled.empty() && !config.fill_missing) {  // a task failed on the way, or in an earlier command
    throw DataError(cat("no submission: nothing answers ", util::join(filled, ", ")));
  }
  if (!filled.empty()) {
    util::log_warning(kFinetuneRoom,
                      cat("submission: filled with the most frequent answer: ", util::join(filled, ", ")));
  }
  const fs::path path = submission_path(config);
  glue::write_submission(path, files);
  util::log_info(kFinetuneRoom, cat("submission in ", path.string()));
}

void write_mistakes(const FinetuneConfig& config, const fs::path& file, const std::vector<BestRun>& runs) {
  std::string text = glue::kMistakesHead;
  for (const BestRun& run : runs) {
    for (const glue::SplitSpec& split : glue::present_dev_splits(run.task, config.data)) {
      glue::check_predictions(run.folder, split.reported_name);
      text += glue::mistake_rows(run.task, split.reported_name, glue::read_split(run.task, split, config.data),
                                 glue::predictions_file(run.folder, split.reported_name), config.errors);
    }
  }
  util::write_file_atomically(file, text);
  util::log_info(kFinetuneRoom, cat("mistakes in ", file.string()));
}

/// Scores a bag of words on the tasks for which the folder does not know it yet.
void make_baselines(FinetuneFolder& folder, const glue::GlueResults& results, const std::vector<BestRun>& runs,
                    const fs::path& data, const util::StopFlag& stop) {
  for (const BestRun& run : runs) {
    if (folder.has_baselines(run.task.name)) {
      continue;
    }
    util::throw_if_stopped(stop, "finetune-glue: stopped before all baselines; the same command makes the others");
    const auto splits = glue::present_dev_splits(run.task, data);
    std::vector<glue::Dataset> dev;
    std::ranges::transform(splits, std::back_inserter(dev),
                           [&](const glue::SplitSpec& split) { return glue::read_split(run.task, split, data); });
    const auto outputs = glue::bag_of_words_outputs(run.task, glue::read_split(run.task, *run.task.train, data), dev);
    std::map<std::string, double> scores;
    for (size_t i = 0; i < splits.size(); ++i) {
      if (const auto entry = results.tasks.find(splits[i].reported_name); entry != results.tasks.end()) {
        scores[splits[i].reported_name] =
            glue::score_split(run.task, dev[i], outputs[i]).metrics.at(entry->second.metric);
      }
    }
    folder.note_baselines(run.task.name, scores);
  }
}

}  // namespace

BestRuns best_runs(const FinetuneFolder& folder, const glue::GlueResults& results, const CountedRuns& runs,
                   const std::vector<glue::TaskSpec>& tasks) {
  const glue::Protocol& protocol = glue::find_protocol(results.protocol);
  const auto best_of = [&](std::span<const glue::TaskSpec> specs, const auto& is_wanted) {
    std::vector<BestRun> found;
    for (const glue::TaskSpec& task : specs) {
      const std::string metric(glue::metric_name(glue::primary_metric(protocol, task)));
      const auto best = glue::best_unit(runs.of(task.name), metric);
      if (best && !results.failed.contains(task.name) && is_wanted(task)) {
        found.push_back({.task = task, .id = *best, .folder = folder.path_of(*best)});
      }
    }
    return found;
  };
  return {.asked = best_of(tasks, [](const glue::TaskSpec&) { return true; }),
          .others = best_of(glue::builtin_tasks(), [&](const glue::TaskSpec& task) {
            return std::ranges::find(tasks, task.name, &glue::TaskSpec::name) == tasks.end();
          })};
}

void check_submission(const FinetuneConfig& config, const std::vector<glue::TaskSpec>& tasks) {
  if (config.submission.empty()) {
    if (config.fill_missing) {
      throw ConfigError("--fill-missing belongs to --submission, which is not given");
    }
    return;
  }
  if (config.save_models == config::SaveModels::kNone) {
    throw ConfigError("--submission needs the best models, and --save-models none keeps none");
  }
  if (!config.task_file.empty()) {
    throw ConfigError("--submission is for the tasks of GLUE, not for --task-file");
  }
  check_submission_path(submission_path(config));
  std::vector<std::string> open;
  std::vector<glue::SubmissionEntry> answered;
  for (const glue::SubmissionEntry& entry : glue::submission_entries()) {
    const bool is_trained =
        std::ranges::find(tasks, entry.model, &glue::TaskSpec::name) != tasks.end() || is_kept(config, entry.model);
    if (is_trained && has_test_set(entry, config.data)) {
      answered.push_back(entry);
    } else {
      open.push_back(cat(entry.name, is_trained ? " (no test set)" : ""));
    }
  }
  if (!open.empty() && !config.fill_missing) {
    throw ConfigError(cat("--submission: nothing will answer ", util::join(open, ", "),
                          "; add the tasks and their test sets, or --fill-missing for the most frequent answer"));
  }
  for (const glue::SubmissionEntry& entry : answered) {
    glue::read_split(glue::find_task(entry.task), glue::test_split_of(entry), config.data);
  }
}

void make_outputs(const FinetuneConfig& config, FinetuneFolder& folder, const BestRuns& runs,
                  const util::StopFlag& stop, glue::GlueResults& results, std::exception_ptr& failure) {
  const auto note = [&](const Error& error) {
    if (failure) {
      util::log_error(kFinetuneRoom, error.what());
    } else {
      failure = std::current_exception();  // which ends the command, with its message, below the table
    }
  };
  const auto try_to = [&](bool is_wanted, const auto& make) {
    try {
      if (is_wanted) {
        make();
      }
    } catch (const DataError& error) {
      note(error);
    } catch (const ResourceError& error) {
      note(error);
    }
  };
  try_to(config.baseline, [&] {
    make_baselines(folder, results, runs.asked, config.data, stop);
    folder.add_baselines(results);
    folder.save(results);
  });
  try_to(config.errors > 0, [&] { write_mistakes(config, folder.file("errors.tsv"), runs.asked); });
  try_to(!config.submission.empty(), [&] { write_submission(config, folder, runs, stop); });
}

}  // namespace bertcram::train
