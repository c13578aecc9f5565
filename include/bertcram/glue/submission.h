#pragma once
// The zip that the GLUE site takes: eleven files `NAME.tsv` of `index` and `prediction`
// (gluebenchmark.com, FAQ; nyu-mll/jiant daa5a258, scripts of its submission).

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/glue/task.h"

namespace bertcram::glue {

/// One of the eleven files.
struct SubmissionEntry {
  std::string name;   ///< file stem: "MNLI-mm"
  std::string task;   ///< whose test set it is: "mnli", "ax"
  std::string model;  ///< task whose fine-tuned model answers: "mnli" for AX
  int64_t rows = 0;   ///< of the official test set
  std::string usual;  ///< the most frequent answer in the official training set
};

/// AX CoLA MNLI-m MNLI-mm MRPC QNLI QQP RTE SST-2 STS-B WNLI.
std::span<const SubmissionEntry> submission_entries();

/// The test split that an entry states, among those of its task.
const SplitSpec& test_split_of(const SubmissionEntry& entry);

/// The words or numbers that GLUE expects for these outputs of the task's head: label words, 0 and 1, or scores with three
/// decimals within the task's range. @param outputs  rows of task.classes() numbers
std::vector<std::string> submission_answers(const TaskSpec& task, std::span<const float> outputs);

/// "index\tprediction\n0\t…".
std::string submission_text(std::span<const std::string> answers);

/// The file of an entry for which there are no predictions: its usual answer, so many times.
std::string usual_submission_text(const SubmissionEntry& entry);

/// Writes the zip in one step; equal files give equal bytes. @param files  stem → content  @throws ResourceError
void write_submission(const std::filesystem::path& path, const std::map<std::string, std::string>& files);

}  // namespace bertcram::glue
