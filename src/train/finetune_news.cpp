#include "finetune_news.h"

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

std::string score_text(double score) { return util::format_fixed(score, 1); }

}  // namespace

void FinetuneNews::are_there(const CountedRuns& runs) const {
  for (const auto& [name, records] : runs.own()) {
    util::log_info(kFinetuneRoom,
                   cat(name, ": ", records.size(), records.size() == 1 ? " run is" : " runs are", " there already"));
  }
}

void FinetuneNews::begins(int64_t pending, int64_t jobs, const std::string& how) const {
  const std::string text =
      cat(pending, pending == 1 ? " run" : " runs", ", ", jobs, " at a time, ", how, jobs > 1 ? " each" : "");
  util::log_info(kFinetuneRoom, text);
  events_.send("start", text, {{"runs", pending}, {"jobs", jobs}, {"device", how}, {"protocol", protocol_.name}});
}

void FinetuneNews::unit_is_done(const glue::UnitRecord& record, const LoadedTask& task) const {
  for (size_t i = 0; i < record.dev.size(); ++i) {
    const std::string metric(glue::metric_name(glue::primary_metric(protocol_, task.dev[i].judge)));
    const std::string& set = record.dev[i].reported_name;
    const double score = record.dev[i].metrics.at(metric);
    const std::string text = cat(record.id.text(), ": ", set == record.id.task ? "" : set + " ", metric, " ",
                                 score_text(score), " in ", util::format_duration(record.training_seconds));
    util::log_info(kFinetuneRoom, text);
    if (i == 0) {
      events_.send("run_finished", text,
                   {{"task", record.id.task},
                    {"seed", record.id.seed},
                    {"metric", metric},
                    {"score", score},
                    {"training_seconds", record.training_seconds}});
    }
  }
}

void FinetuneNews::task_may_be_done(const LoadedTask& task, const glue::GlueResults& results) const {
  const auto found = results.tasks.find(task.dev.front().split.reported_name);
  if (!board_.is_complete(task.spec.name) || found == results.tasks.end()) {
    return;
  }
  const glue::TaskResult& result = found->second;
  const std::string scores = result.seeds.size() == 1
                                 ? score_text(result.median)
                                 : cat("median ", score_text(result.median), ", mean ", score_text(result.mean), " ± ",
                                       score_text(result.sd), " of ", result.seeds.size(), " runs");
  const std::string text = cat(task.spec.name, ": ", result.metric, " ", scores, "; ", board_.tally());
  util::log_info(kFinetuneRoom, text);
  events_.send("task_finished", text,
               {{"task", task.spec.name},
                {"metric", result.metric},
                {"median", result.median},
                {"mean", result.mean},
                {"sd", result.sd},
                {"seeds", result.seeds.size()}});
}

void FinetuneNews::task_failed(const std::string& task, const std::string& reason) const {
  const std::string text = cat(task, ": ", reason);
  util::log_warning(kFinetuneRoom, cat("failed: ", text));  // the command ends with the first of them as its error
  events_.send("task_failed", text, {{"task", task}, {"reason", reason}});
}

}  // namespace bertcram::train
