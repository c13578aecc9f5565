#pragma once
// A user's own task, described in a small YAML file:
//
//   name: supersense            # lower-case letters, digits, '-' and '_'; not the name of a GLUE task
//   train: train.tsv            # relative to this file, or else to --data
//   dev: dev.tsv
//   format: tsv                 # optional: tsv (quotes are literal), csv or jsonl; otherwise by the suffix of the train file
//   header: yes                 # optional: yes (default) or no
//   columns: {sentence1: text, sentence2: context, label: class}   # header names or 0-based indices, in jsonl the members
//                                                                  # of each line; sentence2 optional
//   labels: [noun.act, noun.animal]    # optional: otherwise those of the train file, sorted
//   range: [0, 5]               # instead of labels: regression on a score between these
//   bad_rows: refuse            # optional: refuse (default) or skip rows with an empty text or too few or many columns
//   metric: accuracy            # or a list, the first one counts; default accuracy, for regression pearson

#include <filesystem>
#include <string>
#include <vector>

#include "bertcram/glue/task.h"

namespace bertcram::glue {

/// Reads a task file.
/// @param data_dir the --data folder, where train and dev files are looked for second; may be empty
/// @throws ConfigError with file:line for an unknown or duplicate key (names the nearest), a wrong type or value
/// @throws DataError if the file is missing, or if labels have to be collected from a train file that is unfit
TaskSpec load_task_file(const std::filesystem::path& path, const std::filesystem::path& data_dir = {});

/// What a task file leaves open and bertcram decided, for the log.
struct TaskNotes {
  std::vector<std::string> facts = {};
  std::vector<std::string> warnings = {};
};

/// Labels that were collected, with a warning if they look like scores, and whose F1 is computed. Nothing for GLUE's tasks.
TaskNotes notes_on(const TaskSpec& task);

}  // namespace bertcram::glue
