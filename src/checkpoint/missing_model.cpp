#include "missing_model.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <vector>

#include "bertcram/util/error.h"

namespace bertcram::checkpoint {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// The folders in it that show themselves, by name.
std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    std::error_code ignored;
    if (entry->is_directory(ignored) && !entry->path().filename().string().starts_with(".")) {
      folders.push_back(entry->path());
    }
  }
  std::ranges::sort(folders);
  return folders;
}

/// `model` of a run, TASK or TASK-seedN/model of finetune-glue; nullopt if there is none.
std::optional<fs::path> model_inside(const fs::path& folder) {
  std::vector<fs::path> candidates = {folder / "model"};
  const std::vector<fs::path> folders = folders_in(folder);
  candidates.insert(candidates.end(), folders.begin(), folders.end());
  std::ranges::transform(folders, std::back_inserter(candidates), [](const fs::path& each) { return each / "model"; });
  const auto found =
      std::ranges::find_if(candidates, [](const fs::path& each) { return is_there(each / "config.json"); });
  return found == candidates.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

std::string instead_of_a_model(const fs::path& folder) {
  const fs::path plain = folder.has_filename() ? folder : folder.parent_path();  // without a slash at the end
  if (is_there(plain / "state.json") && is_there(plain / "weights.safetensors")) {
    const fs::path model = (plain / ".." / ".." / "model").lexically_normal();
    return cat("it is a checkpoint; the model is ", model.string(),
               " once the run has stopped or ended; to go on from "
               "here: 'bertcram pretrain --resume ",
               plain.string(), " --output OTHER'");
  }
  if (const auto inside = model_inside(plain)) {
    return cat("did you mean ", inside->string(), "?");
  }
  if (is_there(plain / "config.yaml") && is_there(plain / "metrics.jsonl")) {
    return "the run has written no model yet: it does when it stops or ends";
  }
  return "expected a folder written by 'bertcram pretrain' or Hugging Face";
}

}  // namespace bertcram::checkpoint
