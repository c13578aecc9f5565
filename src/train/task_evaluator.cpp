#include "bertcram/train/task_evaluator.h"

#include "bertcram/glue/reader.h"
#include "bertcram/glue/unit.h"
#include "task_model.h"

namespace bertcram::train {

std::map<std::string, glue::MetricValues> evaluate_task(const std::filesystem::path& model_directory,
                                                        const glue::TaskSpec& task,
                                                        const std::filesystem::path& data_directory,
                                                        const config::RuntimeConfig& runtime,
                                                        const util::StopFlag& stop) {
  const TaskModel model(model_directory, task, runtime);
  std::map<std::string, glue::MetricValues> scores;
  for (const glue::SplitSpec& spec : glue::present_dev_splits(task, data_directory)) {
    const EncodedSplit split = model.encode(glue::read_split(task, spec, data_directory), spec.reported_name);
    log_notes("eval", split);
    const auto outputs = model.outputs(split, stop);
    if (!outputs) {
      throw util::StoppedError(stop, "eval: stopped");
    }
    scores[split.reported_name] = glue::score_split(task, split.dataset, *outputs).metrics;
  }
  return scores;
}

}  // namespace bertcram::train
