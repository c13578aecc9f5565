#include "bertcram/config/finetune_config.h"

#include <system_error>

namespace bertcram::config {
namespace {

namespace fs = std::filesystem;

/// Absolute, without `.`, `..` and a separator at its end, by the letters alone.
fs::path spelt_out(const fs::path& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

/// Where a path leads now, as far as it exists; the path itself where nobody can tell.
fs::path place_of(const fs::path& path) {
  std::error_code unknown;
  const fs::path place = fs::weakly_canonical(fs::absolute(path), unknown);
  return unknown ? path : place;
}

}  // namespace

fs::path results_folder(const FinetuneConfig& config) {
  return config.output.empty()
             ? spelt_out(config.model).parent_path() / (config.init == InitFrom::kRandom ? "glue-random" : "glue")
             : fs::path(config.output);
}

FinetuneConfig with_settled_paths(const FinetuneConfig& config) {
  if (config.model.empty()) {
    return config;
  }
  const fs::path given = fs::absolute(config.model);
  const fs::path model = given.has_filename() ? given : given.parent_path();
  FinetuneConfig settled = config;
  settled.model =
      (place_of(model.parent_path()) / model.filename()).string();  // once: a second look may see another run
  const fs::path output = place_of(results_folder(settled));
  settled.model = place_of(settled.model).string();
  const bool is_model_as_given = settled.model == spelt_out(config.model);
  const bool is_output_as_given = output == spelt_out(results_folder(config));
  settled.model = is_model_as_given ? config.model : settled.model;
  settled.output = is_model_as_given && is_output_as_given ? config.output : output.string();
  return settled;
}

}  // namespace bertcram::config
