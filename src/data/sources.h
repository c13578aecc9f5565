#pragma once
// The inputs of a command as its manifest remembers them, so that the same command knows its own result.

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "bertcram/data/document_reader.h"
#include "bertcram/util/stop.h"

namespace bertcram::data {

/// A list of objects: path, sizes, documents and hash of each input; what a source list says of it, where it does.
nlohmann::json to_json(const std::vector<SourceSummary>& sources);
/// The reverse, but for what the source lists said. @throws nlohmann::json::exception if it is no such list
std::vector<SourceSummary> sources_of_json(const nlohmann::json& list);

/// Whether a list made by to_json describes these files with these bytes; never for standard input and pipes. Reads them all
/// where nothing differs before, and says so.
/// @throws nlohmann::json::exception if it is no such list, util::StoppedError
bool are_same_sources(const nlohmann::json& stored, const std::vector<std::filesystem::path>& files,
                      const util::StopFlag& stop);

/// Bytes of the files together; what has no size counts nothing.
int64_t total_file_bytes(const std::vector<std::filesystem::path>& files);

}  // namespace bertcram::data
