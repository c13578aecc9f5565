#include "bertcram/glue/reader.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "split_files.h"
#include "table_reader.h"

namespace bertcram::glue {
namespace {

/// Where the wanted columns are in this very file.
struct Layout {
  size_t width = 0;  ///< columns of every row
  size_t text_a = 0;
  std::optional<size_t> text_b = {};
  std::optional<size_t> label = {};
  std::optional<size_t> index = {};  ///< of a test set: the number of the row
  size_t first_id = 0;
  size_t second_id = 0;
};

Layout locate_columns(const SourceSpec& source, const TableReader& reader) {
  Layout layout{.width = reader.fields().size(), .text_a = locate_column(source.text_a, reader)};
  if (source.text_b) {
    layout.text_b = locate_column(*source.text_b, reader);
  }
  if (source.label) {
    layout.label = locate_column(*source.label, reader);
  }
  if (const auto& head = reader.fields();
      !source.absent.empty() && std::ranges::find(head, source.absent) != head.end()) {
    reader.fail(stray_labels_problem("column", source.absent));
  }
  if (const auto& head = reader.fields(); !source.label && head.front() == "index") {
    layout.index = 0;
  }
  if (source.id_filter) {
    layout.first_id = locate_column(source.id_filter->first_id, reader);
    layout.second_id = locate_column(source.id_filter->second_id, reader);
  }
  return layout;
}

/// The members of JSON lines that are columns; those of a test set have numbers where SuperGLUE's have them.
JsonMembers members_of(const SourceSpec& source) {
  std::vector<std::string> keys = {source.text_a.name};
  for (const std::optional<Column>& column : {source.text_b, source.label}) {
    if (column && std::ranges::find(keys, column->name) == keys.end()) {
      keys.push_back(column->name);
    }
  }
  return {.wanted = std::move(keys), .absent = source.absent, .number = source.label ? "" : "idx"};
}

using IdPairs = std::set<std::pair<std::string, std::string>>;

IdPairs read_id_pairs(const std::filesystem::path& path) {
  const auto reader = open_table(path, TableFormat::kTsv, {});
  IdPairs pairs;
  while (reader->next() == TableReader::Step::kRow) {
    if (reader->fields().size() != 2) {
      reader->fail(cat(reader->fields().size(), " columns; expected 2 ids"));
    }
    pairs.emplace(reader->fields()[0], reader->fields()[1]);
  }
  return pairs;
}

/// The rows of one source: broken ones refused or counted, filtered ones left out.
class RowReader {
 public:
  RowReader(const TaskSpec& task, const FoundSource& found)
      : task_(task), source_(*found.source), reader_(open_table(found.path, source_.format, members_of(source_))) {
    if (source_.id_filter) {
      ids_ = read_id_pairs(found.path.parent_path() / source_.id_filter->id_file);
    }
    pending_ = reader_->next();
    if (pending_ == TableReader::Step::kEnd) {
      throw DataError(cat(found.path.string(), ": the file is empty"));
    }
    layout_ = locate_columns(source_, *reader_);
    if (source_.header == HeaderRow::kPresent) {
      pending_ = reader_->next();
    }
  }

  /// The next row to use; nullopt at the end.
  std::optional<Example> next() {
    while (pending_ == TableReader::Step::kRow) {
      std::optional<Example> example = is_whole() && is_wanted() ? std::optional(make_example()) : std::nullopt;
      if (example) {
        check_index();
        label_ = layout_.label ? text::repair_utf8(util::trim(field(*layout_.label))) : std::string();
        example->line = reader_->line();
      }
      pending_ = reader_->next();
      if (example) {
        return example;
      }
    }
    return std::nullopt;
  }

  std::string_view label() const { return label_; }  ///< of the row returned last
  int64_t skipped_rows() const { return skipped_rows_; }

 private:
  std::string_view field(size_t column) const { return reader_->fields()[column]; }

  Example make_example() const {
    Example example{.text_a = std::string(field(layout_.text_a))};
    if (layout_.text_b) {
      example.text_b.emplace(field(*layout_.text_b));
    }
    return example;
  }

  bool is_whole() {
    const std::string problem = problem_of_row();
    if (problem.empty()) {
      return true;
    }
    if (task_.bad_rows == BadRows::kRefuse || !source_.label) {
      const bool can_skip = !task_.base_dir.empty() && source_.label;
      reader_->fail(problem + (can_skip ? "; mend the row or set 'bad_rows: skip' in the task file" : ""));
    }
    ++skipped_rows_;
    return false;
  }

  std::string problem_of_row() const {
    if (reader_->fields().size() != layout_.width) {
      return cat(reader_->fields().size(), " columns; expected ", layout_.width);
    }
    if (!source_.label) {
      return {};  // a submission states every row, an empty text too
    }
    if (text::is_blank(field(layout_.text_a))) {
      return "empty text (first sentence)";
    }
    if (layout_.text_b && text::is_blank(field(*layout_.text_b))) {
      return "empty text (second sentence)";
    }
    return {};
  }

  /// Answers are told apart by the rows' numbers.
  void check_index() {
    if (layout_.index && util::parse_int(util::trim(field(*layout_.index))) != rows_) {
      reader_->fail(number_problem("index", field(*layout_.index), rows_));
    }
    ++rows_;
  }

  bool is_wanted() const {
    if (!source_.id_filter) {
      return true;
    }
    const bool listed = ids_.contains({std::string(field(layout_.first_id)), std::string(field(layout_.second_id))});
    return listed == (source_.id_filter->keep == IdFilter::Keep::kListed);
  }

  const TaskSpec& task_;
  const SourceSpec& source_;
  std::unique_ptr<TableReader> reader_;
  IdPairs ids_;
  Layout layout_;
  TableReader::Step pending_ = TableReader::Step::kEnd;
  std::string label_;  // a word of config.json later: valid UTF-8
  int64_t skipped_rows_ = 0;
  int64_t rows_ = 0;
};

[[noreturn]] void fail_at(const std::filesystem::path& path, int64_t line, const std::string& problem) {
  throw DataError(cat(path.string(), ":", line, ": ", problem));
}

int32_t parse_label(const TaskSpec& task, std::string_view word, const std::filesystem::path& path, int64_t line) {
  const auto found = std::ranges::find(task.labels, word);
  if (found == task.labels.end()) {
    fail_at(path, line, cat("unknown label '", util::excerpt(word), "'; ", task.name, " knows ", label_list(task)));
  }
  return static_cast<int32_t>(found - task.labels.begin());
}

float parse_target(const TaskSpec& task, std::string_view word, const std::filesystem::path& path, int64_t line) {
  const std::string expected = cat("expected a number between ", task.range_low, " and ", task.range_high);
  const auto score = util::parse_double(word);
  if (!score) {
    fail_at(path, line, cat("score '", util::excerpt(word), "' is not a number; ", expected));
  }
  if (*score < task.range_low || *score > task.range_high) {
    fail_at(path, line, cat("score ", *score, " is out of range; ", expected));
  }
  return static_cast<float>(*score);
}

}  // namespace

Dataset read_split(const TaskSpec& task, const SplitSpec& split, const std::filesystem::path& data_dir) {
  const FoundSource found = require_source(task, split, data_dir);
  RowReader rows(task, found);
  Dataset dataset{.labelling = found.source->label ? Labelling::kLabelled : Labelling::kUnlabelled, .file = found.path};
  const bool classify = dataset.labelling == Labelling::kLabelled && task.kind == TaskKind::kClassification;
  dataset.label_counts.resize(classify ? task.labels.size() : 0);
  while (auto example = rows.next()) {
    if (classify) {
      example->label = parse_label(task, rows.label(), found.path, example->line);
      ++dataset.label_counts[static_cast<size_t>(example->label)];
    } else if (dataset.labelling == Labelling::kLabelled) {
      example->target = parse_target(task, rows.label(), found.path, example->line);
    }
    dataset.damaged_texts +=
        text::count_invalid_utf8(example->text_a) + text::count_invalid_utf8(example->text_b.value_or("")) > 0 ? 1 : 0;
    dataset.examples.push_back(std::move(*example));
  }
  dataset.skipped_rows = rows.skipped_rows();
  if (dataset.examples.empty()) {
    throw DataError(cat(found.path.string(), ": no examples for task ", task.name));
  }
  return dataset;
}

std::vector<std::string> collect_labels(const TaskSpec& task, const SplitSpec& split,
                                        const std::filesystem::path& data_dir) {
  const FoundSource found = require_source(task, split, data_dir);
  RowReader rows(task, found);
  std::set<std::string, std::less<>> words;
  while (const auto example = rows.next()) {
    if (rows.label().empty()) {
      fail_at(found.path, example->line, "empty label");
    }
    if (rows.label().find_first_of("\t\r\n") != std::string_view::npos) {
      fail_at(found.path, example->line,
              cat("label '", util::excerpt(rows.label()), "' has a tab or a line break in it"));
    }
    words.emplace(rows.label());
  }
  std::vector<std::string> labels(words.begin(), words.end());
  if (std::ranges::all_of(labels, [](const std::string& word) { return util::parse_int(word).has_value(); })) {
    std::ranges::stable_sort(labels, {}, [](const std::string& word) { return *util::parse_int(word); });
  }
  return labels;
}

std::vector<SplitSpec> present_dev_splits(const TaskSpec& task, const std::filesystem::path& data_dir) {
  std::vector<SplitSpec> present;
  for (const SplitSpec& split : task.dev) {
    if (split_availability(task, split, data_dir) == Availability::kPresent) {
      present.push_back(split);
    }
  }
  return present.empty() ? task.dev : present;
}

}  // namespace bertcram::glue
