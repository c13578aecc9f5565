#include "run_status.h"

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bertcram/util/file.h"
#include "bertcram/util/json.h"

namespace bertcram::train {

using nlohmann::json;

void write_status(const RunDirectory& run, const char* state, const Usage& usage, double share) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  util::write_file_atomically(run.status_file(),
                              json{{"state", state},
                                   {"step", usage.steps},
                                   {"tokens", usage.tokens},
                                   {"budget_share", share},
                                   {"elapsed_seconds", usage.seconds},
                                   {"unix_time", std::chrono::duration_cast<std::chrono::seconds>(now).count()}}
                                      .dump() +
                                  "\n",
                              util::Durability::kVolatile);
}

bool says_finished(const RunDirectory& run) {
  if (!std::filesystem::exists(run.status_file())) {
    return false;
  }
  const json status = util::try_parse_json(util::read_file(run.status_file()));
  return util::text_member(status, "state") == "finished";
}

}  // namespace bertcram::train
