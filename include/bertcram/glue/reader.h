#pragma once
// Reads a task's TSV, CSV and JSON-lines files. TSV is in the official GLUE layout: fields between tabs, quotes literal.
// \r\n and a missing final newline are tolerated, a byte order mark is skipped.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/glue/task.h"

namespace bertcram::glue {

/// Label of examples that have none.
inline constexpr int32_t kNoLabel = -1;

struct Example {
  std::string text_a = {};
  std::optional<std::string> text_b = {};  ///< nullopt for single-sentence tasks; may be empty in test sets
  int32_t label = kNoLabel;                ///< class id; kNoLabel when unlabelled or regression
  float target = std::numeric_limits<float>::quiet_NaN();  ///< regression score; nan otherwise
  int64_t line = 0;                                        ///< 1-based line in the file
};

enum class Labelling { kLabelled, kUnlabelled };

struct Dataset {
  std::vector<Example> examples = {};      ///< file order; the position is the index that a GLUE submission states
  std::vector<int64_t> label_counts = {};  ///< examples per class id; empty when unlabelled or regression
  int64_t skipped_rows = 0;                ///< broken rows left out (BadRows::kSkip)
  int64_t damaged_texts = 0;               ///< examples whose texts are not UTF-8
  Labelling labelling = Labelling::kLabelled;
  std::filesystem::path file = {};  ///< where it came from

  int64_t size() const { return static_cast<int64_t>(examples.size()); }
};

/// Reads one split of a task, e.g. `read_split(task, *task.train, data_dir)`.
///
/// In unlabelled splits an empty text is kept (a submission must state every row); elsewhere it is refused or, under
/// BadRows::kSkip, dropped.
/// @throws DataError naming file:line, got and expected: missing folder or file, column absent from the header, wrong
///         number of columns, unknown label, score not a number or out of range, empty text, NUL byte, no row at all
Dataset read_split(const TaskSpec& task, const SplitSpec& split, const std::filesystem::path& data_dir);

/// The label words that occur in a split: sorted by bytes, or by value if all are integers. `task.labels` is not used.
/// @throws DataError as read_split
std::vector<std::string> collect_labels(const TaskSpec& task, const SplitSpec& split,
                                        const std::filesystem::path& data_dir);

/// The folder of a built-in task under `data_dir`, whatever its spelling (SST-2, sst2, SST2).
/// @throws DataError that says what was looked for and what is there
std::filesystem::path find_task_folder(const TaskSpec& task, const std::filesystem::path& data_dir);

/// What to do where the GLUE folder is not there; the end of a message.
std::string how_to_get_glue(const std::filesystem::path& data_dir);

/// Whether a file for the split exists, for saying early what a run lacks; never throws for missing files or folders.
enum class Availability { kPresent, kMissing };
Availability split_availability(const TaskSpec& task, const SplitSpec& split, const std::filesystem::path& data_dir);

/// The file that a split is read from. @throws DataError that names the files looked for
std::filesystem::path split_file(const TaskSpec& task, const SplitSpec& split, const std::filesystem::path& data_dir);

/// The dev splits of a task whose files are there; all of them if none is, so that reading one says what is missing.
std::vector<SplitSpec> present_dev_splits(const TaskSpec& task, const std::filesystem::path& data_dir);

}  // namespace bertcram::glue
