#include "bertcram/glue/submission.h"

#include <zip.h>

#include <algorithm>
#include <memory>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

namespace fs = std::filesystem;

constexpr uint16_t kFirstOfJanuary1980 = 0x21;  // the earliest date of the format: bytes must not depend on the clock

/// libzip's error of an archive or of opening one.
[[noreturn]] void fail(const fs::path& path, const char* reason) {
  throw ResourceError(cat(path.string(), ": cannot be written: ", reason));
}

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};

/// Adds one file. The content must live until the archive is closed.
void add_file(zip_t* archive, const fs::path& path, const std::string& name, const std::string& content) {
  zip_source_t* source = zip_source_buffer(archive, content.data(), content.size(), /*freep=*/0);
  if (source == nullptr) {
    fail(path, zip_strerror(archive));
  }
  const zip_int64_t index = zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    fail(path, zip_strerror(archive));
  }
  const auto place = static_cast<zip_uint64_t>(index);
  if (zip_file_set_dostime(archive, place, 0, kFirstOfJanuary1980, 0) != 0 ||
      zip_set_file_compression(archive, place, ZIP_CM_DEFLATE, 9) != 0) {
    fail(path, zip_strerror(archive));
  }
}

}  // namespace

std::span<const SubmissionEntry> submission_entries() {
  static const std::vector<SubmissionEntry> kEntries = {
      {"AX", "ax", "mnli", 1104, "contradiction"},
      {"CoLA", "cola", "cola", 1063, "1"},
      {"MNLI-m", "mnli", "mnli", 9796, "contradiction"},
      {"MNLI-mm", "mnli", "mnli", 9847, "contradiction"},
      {"MRPC", "mrpc", "mrpc", 1725, "1"},
      {"QNLI", "qnli", "qnli", 5463, "entailment"},
      {"QQP", "qqp", "qqp", 390'965, "0"},
      {"RTE", "rte", "rte", 3000, "entailment"},
      {"SST-2", "sst2", "sst2", 1821, "1"},
      {"STS-B", "stsb", "stsb", 1379, "2.700"},  // the mean
      {"WNLI", "wnli", "wnli", 146, "0"},
  };
  return kEntries;
}

const SplitSpec& test_split_of(const SubmissionEntry& entry) {
  const auto& splits = find_task(entry.task).test;
  const auto found = std::ranges::find(splits, entry.name, &SplitSpec::submission_name);
  BC_CHECK(found != splits.end(), entry.name);
  return *found;
}

std::vector<std::string> submission_answers(const TaskSpec& task, std::span<const float> outputs) {
  std::vector<std::string> answers;
  const auto classes = static_cast<size_t>(task.classes());
  for (size_t row = 0; row < outputs.size(); row += classes) {
    const auto scores = outputs.subspan(row, classes);
    if (task.kind == TaskKind::kRegression) {
      const double score = std::clamp(static_cast<double>(scores[0]), task.range_low, task.range_high);
      answers.push_back(util::format_fixed(score, 3));
    } else {
      answers.push_back(task.labels[static_cast<size_t>(std::ranges::max_element(scores) - scores.begin())]);
    }
  }
  return answers;
}

std::string submission_text(std::span<const std::string> answers) {
  std::string text = "index\tprediction\n";
  for (size_t i = 0; i < answers.size(); ++i) {
    text += cat(i, "\t", answers[i], "\n");
  }
  return text;
}

std::string usual_submission_text(const SubmissionEntry& entry) {
  return submission_text(std::vector<std::string>(static_cast<size_t>(entry.rows), entry.usual));
}

void write_submission(const fs::path& path, const std::map<std::string, std::string>& files) {
  if (path.has_parent_path()) {
    util::make_writable_directory(path.parent_path());
  }
  fs::path temporary = path;
  temporary += ".tmp-zip";
  int error = 0;
  std::unique_ptr<zip_t, Discard> archive(zip_open(temporary.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error));
  if (!archive) {
    zip_error_t details;
    zip_error_init_with_code(&details, error);
    const std::string reason = zip_error_strerror(&details);
    zip_error_fini(&details);
    fail(path, reason.c_str());
  }
  std::map<std::string, std::string> named;
  for (const auto& [stem, content] : files) {
    named[stem + ".tsv"] = content;
  }
  for (const auto& [name, content] : named) {
    add_file(archive.get(), path, name, content);
  }
  if (zip_close(archive.get()) != 0) {
    const std::string reason = zip_strerror(archive.get());
    archive.reset();
    fs::remove(temporary);
    fail(path, reason.c_str());
  }
  static_cast<void>(archive.release());  // zip_close has freed it
  const std::string bytes = util::read_file(temporary);
  fs::remove(temporary);
  util::write_file_atomically(path, bytes);
}

}  // namespace bertcram::glue
