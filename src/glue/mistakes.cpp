#include "bertcram/glue/mistakes.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "table_reader.h"

namespace bertcram::glue {
namespace {

struct Mistake {
  size_t index = 0;
  std::string truth = {};
  std::string prediction = {};
  double confidence = 0;
};

std::string on_one_line(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return text;
}

/// nullopt if the row is right. Columns: line, label or target, prediction, probabilities.
std::optional<Mistake> mistake_of(const TaskSpec& task, const TableReader& reader, size_t index) {
  const auto& fields = reader.fields();
  Mistake mistake = {.index = index, .truth = std::string(fields[1]), .prediction = std::string(fields[2])};
  if (task.kind == TaskKind::kRegression) {
    const auto truth = util::parse_double(fields[1]);
    const auto prediction = util::parse_double(fields[2]);
    if (!truth || !prediction) {
      reader.fail("a score is not a number");
    }
    mistake.confidence = std::abs(*truth - *prediction);
    return mistake.confidence > 0 ? std::optional(mistake) : std::nullopt;
  }
  if (mistake.truth == mistake.prediction) {
    return std::nullopt;
  }
  for (size_t column = 3; column < fields.size(); ++column) {
    mistake.confidence = std::max(mistake.confidence, util::parse_double(fields[column]).value_or(0));
  }
  return mistake;
}

}  // namespace

std::string mistake_rows(const TaskSpec& task, const std::string& reported_name, const Dataset& dataset,
                         const std::filesystem::path& predictions, int64_t most) {
  const auto reader = open_table(predictions, TableFormat::kTsv, {});
  reader->next();  // the head
  std::vector<Mistake> mistakes;
  size_t index = 0;
  for (; reader->next() == TableReader::Step::kRow; ++index) {
    if (reader->fields().size() != static_cast<size_t>(3 + std::ssize(task.labels))) {
      reader->fail("not as many columns as the task has labels; was this file edited?");
    }
    if (auto mistake = mistake_of(task, *reader, index)) {
      mistakes.push_back(std::move(*mistake));
    }
  }
  if (index != dataset.examples.size()) {
    reader->fail(cat(index, " predictions for ", dataset.examples.size(), " examples; was this file edited?"));
  }
  std::ranges::stable_sort(mistakes, std::ranges::greater(), &Mistake::confidence);
  mistakes.resize(std::min(mistakes.size(), static_cast<size_t>(most)));
  std::string rows;
  for (const Mistake& mistake : mistakes) {
    const Example& example = dataset.examples[mistake.index];
    rows += cat(reported_name, "\t", example.line, "\t", mistake.truth, "\t", mistake.prediction, "\t",
                util::format_fixed(mistake.confidence, 4), "\t", on_one_line(example.text_a), "\t",
                on_one_line(example.text_b.value_or("")), "\n");
  }
  return rows;
}

}  // namespace bertcram::glue
