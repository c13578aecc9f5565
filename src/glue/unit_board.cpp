#include "bertcram/glue/unit_board.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "bertcram/glue/protocol.h"
#include "bertcram/util/error.h"
#include "bertcram/util/table.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

/// Scores and shares come and go: the columns stay where they are.
std::string padded(const std::string& text) {
  constexpr size_t kWidth = 5;
  return std::string(kWidth - std::min(kWidth, text.size()), ' ') + text;
}

}  // namespace

UnitBoard::Row& UnitBoard::row_of(const UnitId& id) {
  const auto found =
      std::ranges::find_if(rows_, [&](const Row& row) { return row.task == id.task && row.grid_rate == id.grid_rate; });
  return found != rows_.end() ? *found : rows_.emplace_back(Row{.task = id.task, .grid_rate = id.grid_rate});
}

void UnitBoard::expect(const UnitId& id, const std::string& metric) {
  const std::scoped_lock lock(mutex_);
  Row& row = row_of(id);
  row.metric = metric;
  row.cells.try_emplace(id.seed);
}

void UnitBoard::note_share(const UnitId& id, double share) {
  const std::scoped_lock lock(mutex_);
  row_of(id).cells[id.seed].share = share;
}

void UnitBoard::note_score(const UnitId& id, double score) {
  const std::scoped_lock lock(mutex_);
  row_of(id).cells[id.seed].score = score;
}

void UnitBoard::note_failure(const std::string& task) {
  const std::scoped_lock lock(mutex_);
  for (Row& row : rows_) {
    row.failed = row.failed || row.task == task;
  }
}

std::vector<double> UnitBoard::scores_of(const Row& row) {
  std::vector<double> scores;
  for (const auto& [seed, cell] : row.cells) {
    if (cell.score) {
      scores.push_back(*cell.score);
    }
  }
  return scores;
}

std::string UnitBoard::text() const {
  const std::scoped_lock lock(mutex_);
  std::set<int64_t> seeds;
  for (const Row& row : rows_) {
    for (const auto& [seed, cell] : row.cells) {
      seeds.insert(seed);
    }
  }
  util::Table table = {.word_columns = 2, .rows = {{"seed", ""}}};
  std::ranges::transform(seeds, std::back_inserter(table.rows.front()),
                         [](int64_t seed) { return std::to_string(seed); });
  table.rows.front().emplace_back("median");
  for (const Row& row : rows_) {
    table.rows.push_back(
        {row.grid_rate > 0 ? cat(row.task, " ", util::format_number(row.grid_rate)) : row.task, row.metric});
    for (const int64_t seed : seeds) {
      const auto found = row.cells.find(seed);  // a protocol may have fewer runs of a task
      table.rows.back().push_back(padded(found == row.cells.end() ? "" : text_of(found->second)));
    }
    const std::vector<double> scores = scores_of(row);
    table.rows.back().push_back(row.failed       ? "failed"
                                : scores.empty() ? ""
                                                 : util::format_fixed(summarise(Statistic::kMedian, scores), 1));
  }
  return rows_.empty() ? "" : util::plain_table(table);
}

std::string UnitBoard::text_of(const Cell& cell) {
  if (cell.score) {
    return util::format_fixed(*cell.score, 1);
  }
  return cell.share ? util::format_fixed(100 * *cell.share, 0) + " %" : "-";
}

bool UnitBoard::is_complete(const std::string& task) const {
  const std::scoped_lock lock(mutex_);
  return is_done(task);
}

bool UnitBoard::is_done(const std::string& task) const {
  return std::ranges::all_of(rows_, [&](const Row& row) {
    return row.task != task || (!row.failed && scores_of(row).size() == row.cells.size());
  });
}

std::string UnitBoard::tally() const {
  const std::scoped_lock lock(mutex_);
  std::set<std::string> tasks;
  std::set<std::string> done;
  for (const Row& row : rows_) {
    tasks.insert(row.task);
    if (is_done(row.task)) {
      done.insert(row.task);
    }
  }
  return cat(done.size(), " of ", tasks.size(), " tasks done");
}

}  // namespace bertcram::glue
