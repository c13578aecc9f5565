#pragma once
// From the user's words to files: what is read, in which order, and how.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bertcram/config/source_config.h"
#include "bertcram/config/text_input_config.h"

namespace bertcram::data {

/// Files behind the user's words: files as they are, folders (recursively, sorted), globs (sorted), "-" for stdin.
/// @param flag  where the words come from, for the error. @throws DataError if a word matches nothing
std::vector<std::filesystem::path> expand_inputs(const std::string& flag, const std::vector<std::string>& words);

struct InputFile {
  std::filesystem::path path;
  size_t source = 0;  ///< index into InputList::sources
};

/// Files in the order in which they are read, each once, and the sources they belong to.
struct InputList {
  std::vector<config::SourceConfig> sources;
  std::vector<InputFile> files;

  std::vector<std::filesystem::path> paths() const;
};

/// All files as they are, one source.
InputList plain_inputs(const std::vector<std::filesystem::path>& files, const config::TextInputConfig& input);

/// The files behind the words of --input, of which some may be source lists. A file that is reached twice, by whatever
/// name, is read once, for the source that names it first, and warned about.
/// @param output  the folder that the command writes: files in it are left out, or the result would be input the next time
/// @throws DataError if a word matches nothing, ConfigError for a faulty list or if a word matches only files in `output`
InputList resolve_inputs(const std::vector<std::string>& words, const config::TextInputConfig& input,
                         const std::filesystem::path& output);

/// What source lists say about the files beyond `input`; empty if they say nothing. Part of the request of a command.
std::string fingerprint(const InputList& inputs, const config::TextInputConfig& input);

}  // namespace bertcram::data
