#include "dashboard_api.h"

#include <algorithm>
#include <optional>

#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"
#include "page_files.h"
#include "prometheus.h"
#include "run_json.h"

namespace bertcram::monitor {
namespace {

using nlohmann::json;

constexpr const char* kJson = "application/json";

/// Parameters that make no sense.
class BadRequest : public ConfigError {
 public:
  using ConfigError::ConfigError;
};

std::string parameter(const ApiRequest& request, const std::string& name, const std::string& fallback) {
  const auto found = request.parameters.find(name);
  return found == request.parameters.end() ? fallback : found->second;
}

const PageFile* page_file(const std::string& path) {
  const auto files = page_files();
  const auto found = std::ranges::find(files, path == "/" ? "/index.html" : path, &PageFile::path);
  return found == files.end() ? nullptr : &*found;
}

SeriesOptions series_options(const ApiRequest& request) {
  constexpr int64_t kFewest = 20;
  constexpr int64_t kMost = 5000;
  SeriesOptions options;
  const std::string x = parameter(request, "x", "steps");
  if (x != "steps" && x != "tokens" && x != "seconds") {
    throw BadRequest(cat("x is '", util::excerpt(x), "', expected steps, tokens or seconds"));
  }
  options.x = x == "steps" ? XAxis::kSteps : x == "tokens" ? XAxis::kTokens : XAxis::kSeconds;
  const std::string points = parameter(request, "points", "1000");
  const auto count = util::parse_int(points);
  if (!count || *count < kFewest || *count > kMost) {
    throw BadRequest(cat("points is '", util::excerpt(points), "', expected ", kFewest, " to ", kMost));
  }
  options.points = static_cast<size_t>(*count);
  const std::string keys = parameter(request, "keys", "");
  for (const std::string_view key : util::split(keys, ',')) {
    if (!key.empty()) {
      options.keys.emplace_back(key);
    }
  }
  return options;
}

ApiAnswer series_answer(WatchedRun& run, double now, const ApiRequest& request) {
  const SeriesOptions options = series_options(request);
  const std::string question =
      cat("series ", static_cast<int>(options.x), " ", options.points, " ", util::join(options.keys, ","));
  const auto body =
      run.answer(question, now, [&](const RunFacts& facts) { return util::json_text(series_json(facts, options)); });
  return {.type = kJson, .body = *body};
}

ApiAnswer csv_answer(WatchedRun& run, double now, const ApiRequest& request) {
  const std::string table = parameter(request, "table", "training");
  if (table != "training" && table != "evaluations") {
    throw BadRequest(cat("table is '", util::excerpt(table), "', expected training or evaluations"));
  }
  const auto body = run.answer("csv " + table, now, [&](const RunFacts& facts) {
    return metrics_csv(table == "training" ? facts.metrics.training() : facts.metrics.evaluations());
  });
  return {.type = "text/csv; charset=utf-8", .body = *body};
}

ApiAnswer details_answer(WatchedRun& run, double now) {
  const auto details =
      run.answer("details", now, [](const RunFacts& facts) { return util::json_text(details_json(facts)); });
  json whole = util::parse_json(*details);
  whole.update(run.row());
  return {.type = kJson, .body = util::json_text(whole)};
}

ApiAnswer log_answer(const WatchedRun& run) {
  constexpr size_t kMostLines = 100;
  return {.type = kJson, .body = util::json_text({{"lines", run.log_lines(kMostLines)}})};
}

/// @param words  of the path behind /api/runs: an id, and what is asked of it
ApiAnswer run_answer(RunStore& store, const std::vector<std::string_view>& words, const ApiRequest& request) {
  const auto run = store.find(std::string(words[0]));
  if (!run) {
    return error_answer(404, "no such run; it may have been removed. /api/runs lists the ids");
  }
  const std::string_view what = words.size() == 2 ? words[1] : std::string_view();
  if (words.size() == 1) {
    return details_answer(*run, store.now());
  }
  if (what == "series") {
    return series_answer(*run, store.now(), request);
  }
  if (what == "log") {
    return log_answer(*run);
  }
  if (what == "metrics.csv") {
    return csv_answer(*run, store.now(), request);
  }
  return error_answer(404, "no such page");
}

}  // namespace

ApiAnswer error_answer(int status, const std::string& message) {
  return {.status = status, .type = kJson, .body = util::json_text({{"error", message}})};
}

bool is_page(const std::string& path) { return page_file(path) != nullptr; }

ApiAnswer answer(RunStore& store, const ApiRequest& request) {
  constexpr std::string_view kRuns = "/api/runs";
  if (const PageFile* file = page_file(request.path)) {
    return {.type = std::string(file->type), .body = std::string(file->content)};
  }
  store.refresh();
  try {
    if (request.path == kRuns) {
      return {.type = kJson, .body = util::json_text(store.news(0))};
    }
    if (request.path == "/metrics") {
      return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = prometheus_text(store)};
    }
    if (request.path.starts_with("/api/runs/")) {
      return run_answer(store, util::split(std::string_view(request.path).substr(kRuns.size() + 1), '/'), request);
    }
  } catch (const BadRequest& error) {
    return error_answer(400, error.what());
  }
  return error_answer(404, "no such page");
}

}  // namespace bertcram::monitor
