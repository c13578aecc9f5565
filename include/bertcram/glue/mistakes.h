#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "bertcram/glue/reader.h"
#include "bertcram/glue/task.h"

namespace bertcram::glue {

/// Head of what mistake_rows gives.
inline constexpr const char* kMistakesHead = "task\tline\tlabel\tprediction\tconfidence\ttext\tsecond text\n";

/// The mistakes that a model was surest of, as TSV rows without a head; of a score those furthest off, whose confidence is
/// the distance. Tabs and line ends in texts become spaces.
/// @param predictions  file that save_predictions wrote of this split  @throws DataError if it is damaged
std::string mistake_rows(const TaskSpec& task, const std::string& reported_name, const Dataset& dataset,
                         const std::filesystem::path& predictions, int64_t most);

}  // namespace bertcram::glue
