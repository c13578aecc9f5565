#include "missing_model.h"

#include <algorithm>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "bertcram/util/error.h"
#include "bertcram/util/folders.h"

namespace bertcram::checkpoint {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// `model` of a run, TASK or TASK-seedN/model of finetune-glue; nullopt if there is none.
std::optional<fs::path> model_inside(const fs::path& folder) {
  std::error_code ignored;
  std::vector<std::string> folders = util::folder_names_in(folder, ignored);
  std::erase_if(folders, [](const std::string& name) { return name.starts_with("."); });
  std::vector<fs::path> candidates = {folder / "model"};
  std::ranges::transform(folders, std::back_inserter(candidates), [&](const auto& name) { return folder / name; });
  std::ranges::transform(folders, std::back_inserter(candidates),
                         [&](const auto& name) { return folder / name / "model"; });
  const auto found =
      std::ranges::find_if(candidates, [](const fs::path& each) { return is_there(each / "config.json"); });
  return found == candidates.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

std::string instead_of_a_model(const fs::path& folder) {
  const fs::path plain = folder.has_filename() ? folder : folder.parent_path();  // without a slash at the end
  if (is_there(plain / "state.json") && is_there(plain / "weights.safetensors")) {
    const fs::path home = (plain / ".." / "..").lexically_normal();
    const std::string model = (home / "model").string();
    if (is_there(home / ".." / "settings.json")) {
      return cat("it is a checkpoint of fine-tuning; the model is ", model, " once the run has ended");
    }
    return cat("it is a checkpoint; the model is ", model,
               " once the run has stopped or ended; to go on from here: 'bertcram pretrain --resume ", plain.string(),
               " --output OTHER'");
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
