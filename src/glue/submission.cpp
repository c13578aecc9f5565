#include "bertcram/glue/submission.h"

#include <zip.h>

#include <algorithm>
#include <memory>

#include "bertcram/glue/class_outputs.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

namespace fs = std::filesystem;

constexpr uint16_t kFirstOfJanuary1980 = 0x21;  // the earliest date of the format: bytes must not depend on the clock

[[noreturn]] void fail(const char* reason) { throw ResourceError(cat("a zip cannot be made: ", reason)); }

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};

/// Adds one file. The content must live until the archive is closed.
void add_file(zip_t* archive, const std::string& name, const std::string& content) {
  zip_source_t* source = zip_source_buffer(archive, content.data(), content.size(), /*freep=*/0);
  const zip_int64_t index = source == nullptr ? -1 : zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);  // which takes a null pointer
    fail(zip_strerror(archive));
  }
  const auto place = static_cast<zip_uint64_t>(index);
  if (zip_file_set_dostime(archive, place, 0, kFirstOfJanuary1980, 0) != 0 ||
      zip_set_file_compression(archive, place, ZIP_CM_DEFLATE, 9) != 0) {
    fail(zip_strerror(archive));
  }
}

/// All bytes that were written to the source.
std::string bytes_of(zip_source_t* source) {
  zip_stat_t facts;
  if (zip_source_stat(source, &facts) != 0 || zip_source_open(source) != 0) {
    fail(zip_error_strerror(zip_source_error(source)));
  }
  std::string bytes(facts.size, '\0');
  const zip_int64_t read = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  if (read != static_cast<zip_int64_t>(bytes.size())) {
    fail("its bytes cannot be read back");
  }
  return bytes;
}

/// @param files  name → content
std::string zipped(const std::map<std::string, std::string>& files) {
  zip_error_t error;
  zip_error_init(&error);
  const std::unique_ptr<zip_source_t, FreeSource> memory(zip_source_buffer_create(nullptr, 0, /*freep=*/0, &error));
  std::unique_ptr<zip_t, Discard> archive(memory ? zip_open_from_source(memory.get(), ZIP_TRUNCATE, &error) : nullptr);
  if (!archive) {
    fail(zip_error_strerror(&error));
  }
  zip_source_keep(memory.get());  // closing the archive gives up a share of it
  for (const auto& [name, content] : files) {
    add_file(archive.get(), name, content);
  }
  if (zip_close(archive.get()) != 0) {
    fail(zip_strerror(archive.get()));
  }
  static_cast<void>(archive.release());  // zip_close has freed it
  return bytes_of(memory.get());
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
      answers.push_back(task.labels[static_cast<size_t>(best_class(scores))]);
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
  std::map<std::string, std::string> named;
  for (const auto& [stem, content] : files) {
    named[stem + ".tsv"] = content;
  }
  util::write_file_atomically(path, zipped(named));
}

}  // namespace bertcram::glue
