#pragma once
// Which file on disk provides a split.

#include <filesystem>
#include <optional>

#include "bertcram/glue/task.h"

namespace bertcram::glue {

struct FoundSource {
  const SourceSpec* source = nullptr;  ///< points into the SplitSpec
  std::filesystem::path path;
};

/// The first source of the split whose file exists, nullopt if none does.
/// @throws DataError if the folder of a built-in task is missing
std::optional<FoundSource> find_source(const TaskSpec& task, const SplitSpec& split,
                                       const std::filesystem::path& data_dir);

/// As find_source. @throws DataError that names the files looked for
FoundSource require_source(const TaskSpec& task, const SplitSpec& split, const std::filesystem::path& data_dir);

}  // namespace bertcram::glue
