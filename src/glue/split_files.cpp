#include "split_files.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "bertcram/glue/reader.h"
#include "bertcram/util/error.h"
#include "bertcram/util/folders.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::vector<std::string> folder_names(const fs::path& data_dir) {
  std::error_code failure;
  std::vector<std::string> names = util::folder_names_in(data_dir, failure);
  if (failure) {
    throw DataError(
        cat(data_dir.string(), ": cannot list the GLUE folder: ", failure.message(), "; ", how_to_get_glue(data_dir)));
  }
  return names;
}

/// Where a source's file may be, in the order of trying.
std::vector<fs::path> candidate_paths(const TaskSpec& task, const SourceSpec& source, const fs::path& data_dir) {
  if (task.base_dir.empty()) {
    return {find_task_folder(task, data_dir) / source.file};
  }
  std::vector<fs::path> paths = {task.base_dir / source.file};  // an absolute file replaces the folder
  if (!data_dir.empty() && !fs::path(source.file).is_absolute()) {
    paths.push_back(data_dir / source.file);
  }
  return paths;
}

bool has_companions(const SourceSpec& source, const fs::path& path) {
  return !source.id_filter || is_file(path.parent_path() / source.id_filter->id_file);
}

}  // namespace

std::string how_to_get_glue(const fs::path& data_dir) {
  return cat("fetch it with 'scripts/get_glue.sh --output ", data_dir.string(),
             "', or name where it is with --data (your own task: --task-file)");
}

fs::path find_task_folder(const TaskSpec& task, const fs::path& data_dir) {
  const std::vector<std::string> names = folder_names(data_dir);
  if (std::ranges::find(names, task.display_name) != names.end()) {
    return data_dir / task.display_name;
  }
  std::vector<std::string> wanted = {task.name};
  for (const std::string& alias : task.folder_aliases) {
    wanted.push_back(normalised_name(alias));
  }
  for (const std::string& name : names) {
    if (std::ranges::find(wanted, normalised_name(name)) != wanted.end()) {
      return data_dir / name;
    }
  }
  throw DataError(cat(data_dir.string(), ": no folder ", task.display_name, " for task ", task.name, "; found ",
                      names.empty() ? std::string("no folders") : util::excerpt(util::join(names, ", "), 200)));
}

std::optional<FoundSource> find_source(const TaskSpec& task, const SplitSpec& split, const fs::path& data_dir) {
  for (const SourceSpec& source : split.sources) {
    for (const fs::path& path : candidate_paths(task, source, data_dir)) {
      if (is_file(path) && has_companions(source, path)) {
        return FoundSource{&source, path};
      }
    }
  }
  return std::nullopt;
}

FoundSource require_source(const TaskSpec& task, const SplitSpec& split, const fs::path& data_dir) {
  if (auto found = find_source(task, split, data_dir)) {
    return *found;
  }
  std::vector<std::string> tried;
  for (const SourceSpec& source : split.sources) {
    for (const fs::path& path : candidate_paths(task, source, data_dir)) {
      tried.push_back(path.string() + (source.id_filter ? " with " + source.id_filter->id_file : ""));
    }
  }
  throw DataError(cat("task ", task.name, ": file missing: ", util::join(tried, " or ")));
}

fs::path split_file(const TaskSpec& task, const SplitSpec& split, const fs::path& data_dir) {
  return require_source(task, split, data_dir).path;
}

Availability split_availability(const TaskSpec& task, const SplitSpec& split, const fs::path& data_dir) {
  try {
    return find_source(task, split, data_dir) ? Availability::kPresent : Availability::kMissing;
  } catch (const DataError&) {
    return Availability::kMissing;
  }
}

}  // namespace bertcram::glue
