#include "bertcram/data/input_list.h"

#include <glob.h>

#include <cerrno>

#include <algorithm>
#include <set>

#include "bertcram/config/resolve.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFlag = "--input";

/// Regular files in a folder and below, through links too, sorted; names that begin with a dot are left out.
std::vector<fs::path> files_below(const std::string& flag, const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::path at = folder;
  fs::recursive_directory_iterator entries(folder, fs::directory_options::follow_directory_symlink, error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    at = entries->path();
    const bool is_hidden = entries->path().filename().string().starts_with(".");
    if (is_hidden) {
      entries.disable_recursion_pending();
    } else if (entries->is_regular_file(error)) {
      files.push_back(entries->path());
    }
    if (error) {
      break;  // before increment() clears it: a link to nothing, for one
    }
  }
  if (error) {
    throw DataError(cat(flag, " ", folder.string(), ": cannot look through this folder, at ", at.string(), " (",
                        error.message(), "); make it readable, or name the files"));
  }
  std::ranges::sort(files);
  return files;
}

/// @throws DataError if a folder in which matches may lie cannot be read
std::vector<fs::path> files_matching(const std::string& flag, const std::string& pattern) {
  glob_t matches{};
  const auto abort_if_unreadable = [](const char*, int error_number) { return error_number == EACCES ? 1 : 0; };
  const int status = ::glob(pattern.c_str(), 0, abort_if_unreadable, &matches);
  std::vector<fs::path> files;
  if (status == 0) {
    files.assign(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  }
  ::globfree(&matches);
  if (status == GLOB_ABORTED) {
    throw DataError(cat(flag, " ", pattern,
                        ": a folder in which matches may lie cannot be read (permission denied); make "
                        "it readable, or name the files"));
  }
  return files;
}

config::SourceConfig plain_source(const config::TextInputConfig& input) {
  return {.path = {}, .format = input.format, .text_field = input.text_field};
}

/// One name per file, however it was reached.
std::string identity(const fs::path& path) {
  std::error_code error;
  const fs::path canonical = fs::canonical(path, error);
  return (error ? path : canonical).string();
}

/// Collects files, each once.
class Collector {
 public:
  /// @param output  nothing in this folder is taken
  explicit Collector(const fs::path& output) : output_(fs::weakly_canonical(output).string() + "/") {
    BC_CHECK(!output.empty());
  }

  void add(const std::string& origin, config::SourceConfig source, std::vector<fs::path> files) {
    if (std::erase_if(files, [&](const fs::path& file) { return identity(file).starts_with(output_); }) > 0 &&
        files.empty()) {
      throw ConfigError(cat(origin, ": only files in the --output folder; name the text, or another --output"));
    }
    int64_t repeated = 0;
    std::string first;
    for (const fs::path& file : files) {
      if (seen_.insert(identity(file)).second) {
        inputs.files.push_back({.path = file, .source = inputs.sources.size()});
      } else if (repeated++ == 0) {
        first = file.string();
      }
    }
    inputs.sources.push_back(std::move(source));
    if (repeated > 0) {
      util::log_warning("data", cat(origin, ": ", first,
                                    repeated > 1 ? cat(" and ", repeated - 1, " more were") : std::string(" was"),
                                    " named before; a file is read once, for the source that names it first"));
    }
  }
  InputList inputs;

 private:
  std::string output_;
  std::set<std::string> seen_;
};

/// The words of a source's path, as seen from the folder of its list.
std::vector<std::string> words_of(const config::SourceConfig& source, const fs::path& list) {
  std::vector<std::string> words;
  for (const std::string& path : source.path) {
    const std::string word = path == "-" ? path : (list.parent_path() / path).string();
    if (config::is_source_list(word)) {
      throw ConfigError(
          cat(list.string(), ": ", word, " is a source list too; lists do not nest: name it beside this one"));
    }
    words.push_back(word);
  }
  return words;
}

}  // namespace

std::vector<fs::path> expand_inputs(const std::string& flag, const std::vector<std::string>& words) {
  std::vector<fs::path> files;
  for (const std::string& word : words) {
    std::vector<fs::path> found;
    std::error_code ignored;
    if (fs::is_directory(word, ignored)) {
      found = files_below(flag, word);
    } else if (word == "-" || fs::exists(word, ignored)) {
      found = {word};
    } else {
      for (const auto& match : files_matching(flag, word)) {
        const auto below = fs::is_directory(match, ignored) ? files_below(flag, match) : std::vector{match};
        found.insert(found.end(), below.begin(), below.end());
      }
    }
    if (found.empty()) {
      throw DataError(cat(flag, " ", word, ": no such file, and no folder or pattern with files in it"));
    }
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

std::vector<fs::path> InputList::paths() const {
  std::vector<fs::path> all;
  std::ranges::transform(files, std::back_inserter(all), &InputFile::path);
  return all;
}

InputList plain_inputs(const std::vector<fs::path>& files, const config::TextInputConfig& input) {
  InputList inputs{.sources = {plain_source(input)}, .files = {}};
  for (const fs::path& file : files) {
    inputs.files.push_back({.path = file});
  }
  return inputs;
}

InputList resolve_inputs(const std::vector<std::string>& words, const config::TextInputConfig& input,
                         const fs::path& output) {
  Collector collector(output);
  for (const std::string& word : words) {
    if (!config::is_source_list(word)) {
      collector.add(cat(kFlag, " ", word), plain_source(input), expand_inputs(kFlag, {word}));
      continue;
    }
    for (config::SourceConfig& source : config::read_source_list(word, input)) {
      auto files = expand_inputs(cat(kFlag, " ", word, ":"), words_of(source, word));
      std::erase_if(files, [&](const fs::path& file) { return identity(file) == identity(word); });  // the list itself
      const std::string origin = cat(word, ": source ", util::join(source.path, ", "));
      collector.add(origin, std::move(source), std::move(files));
    }
  }
  return std::move(collector.inputs);
}

std::string fingerprint(const InputList& inputs, const config::TextInputConfig& input) {
  config::SourceConfig plain = plain_source(input);
  const std::string nothing_said = config::fingerprint(config::fields_of(plain));
  std::vector<int64_t> files(inputs.sources.size());
  for (const InputFile& file : inputs.files) {
    ++files[file.source];
  }
  std::string said;
  bool says_something = false;
  for (size_t i = 0; i < inputs.sources.size(); ++i) {
    config::SourceConfig source = inputs.sources[i];
    const std::string rules = config::fingerprint(config::fields_of(source));
    says_something = says_something || (files[i] > 0 && rules != nothing_said);
    said += cat(rules, "*", files[i], "\n");
  }
  return says_something ? said : "";
}

}  // namespace bertcram::data
