#include "table_reader.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <utility>

#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

class TsvReader : public TableReader {
 public:
  using TableReader::TableReader;

  Step next() override {
    if (rest_.empty()) {
      return Step::kEnd;
    }
    ++line_;
    fields_ = util::split(take_line(), '\t');
    return Step::kRow;
  }
};

class CsvReader : public TableReader {
 public:
  using TableReader::TableReader;

  Step next() override {
    fields_.clear();
    unescaped_.clear();
    if (rest_.empty()) {
      return Step::kEnd;
    }
    line_ += lines_of_row_;
    lines_of_row_ = 1;
    while (take_field()) {
    }
    return Step::kRow;
  }

 private:
  /// @return whether the row goes on behind it
  bool take_field() {
    if (rest_.starts_with('"')) {
      take_quoted();
    } else {
      const size_t end = std::min(rest_.find_first_of(",\n"), rest_.size());
      const bool has_return = end < rest_.size() && rest_[end] == '\n' && end > 0 && rest_[end - 1] == '\r';
      fields_.push_back(rest_.substr(0, has_return ? end - 1 : end));
      rest_.remove_prefix(end);
    }
    const bool goes_on = rest_.starts_with(',');
    if (rest_.starts_with('\r')) {
      rest_.remove_prefix(1);
    }
    if (!goes_on && !rest_.empty() && rest_.front() != '\n') {
      fail(cat("'", util::excerpt(rest_, 20), "' behind a closing quote; expected a comma (quotes in a field: \"\")"));
    }
    rest_.remove_prefix(std::min<size_t>(1, rest_.size()));
    return goes_on;
  }

  void take_quoted() {
    rest_.remove_prefix(1);
    bool has_escapes = false;
    size_t end = 0;
    while (true) {
      end = rest_.find('"', end);
      if (end == std::string_view::npos) {
        fail("a quoted field that is never closed");
      }
      if (end + 1 == rest_.size() || rest_[end + 1] != '"') {
        break;
      }
      has_escapes = true;
      end += 2;
    }
    std::string_view field = rest_.substr(0, end);
    lines_of_row_ += std::ranges::count(field, '\n');
    if (has_escapes) {
      std::string& text = unescaped_.emplace_back();
      for (size_t i = 0; i < field.size(); i += field[i] == '"' ? size_t{2} : size_t{1}) {
        text += field[i];
      }
      field = text;
    }
    fields_.push_back(field);
    rest_.remove_prefix(end + 1);
  }

  int64_t lines_of_row_ = 1;
  std::deque<std::string> unescaped_;
};

class JsonLinesReader : public TableReader {
 public:
  JsonLinesReader(const std::filesystem::path& path, JsonMembers members)
      : TableReader(path), members_(std::move(members)), values_(members_.wanted) {}

  Step next() override {
    if (std::exchange(is_header_due_, false)) {
      fields_.assign(values_.begin(), values_.end());
      return rest_.empty() ? Step::kEnd : Step::kRow;
    }
    while (!rest_.empty()) {
      ++line_;
      const std::string_view line = util::trim(take_line());
      if (!line.empty()) {
        read(line);
        return Step::kRow;
      }
    }
    return Step::kEnd;
  }

 private:
  void read(std::string_view line) {
    const auto object = util::try_parse_json(line);
    if (!object.is_object()) {
      fail(cat("not a JSON object: '", util::excerpt(line), "'"));
    }
    check_test_set(object);
    for (size_t i = 0; i < members_.wanted.size(); ++i) {
      const std::string& key = members_.wanted[i];
      const auto found = object.find(key);
      if (found == object.end()) {
        std::vector<std::string> names;
        for (const auto& item : object.items()) {
          names.push_back(item.key());
        }
        fail(cat("no member '", key, "'; it has ", util::excerpt(util::join(names, ", "), 200)));
      }
      if (found->is_null() || found->is_structured()) {
        fail(cat("'", key, "' is ", util::excerpt(util::json_text(*found)), "; expected a text or a number"));
      }
      values_[i] = text_of(*found);
      if (values_[i].find('\0') != std::string::npos) {
        fail(cat("NUL character in '", key, "'"));
      }
    }
    fields_.assign(values_.begin(), values_.end());
    ++rows_;
  }

  void check_test_set(const nlohmann::json& object) const {
    if (!members_.absent.empty() && object.contains(members_.absent)) {
      fail(stray_labels_problem("member", members_.absent));
    }
    if (const auto found = object.find(members_.number); !members_.number.empty() && found != object.end()) {
      if (const std::string got = text_of(*found); util::parse_int(got) != rows_) {
        fail(number_problem(members_.number, got, rows_));
      }
    }
  }

  static std::string text_of(const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : util::json_text(value);
  }

  JsonMembers members_;
  int64_t rows_ = 0;
  std::vector<std::string> values_;
  bool is_header_due_ = true;
};

}  // namespace

TableReader::TableReader(std::filesystem::path path) : path_(std::move(path)), file_(path_) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  rest_ = file_.text();
  if (rest_.starts_with(kByteOrderMark)) {
    rest_.remove_prefix(kByteOrderMark.size());
  }
  while (rest_.ends_with('\n') || rest_.ends_with('\r')) {
    rest_.remove_suffix(1);
  }
  if (const size_t place = rest_.find('\0'); place != std::string_view::npos) {
    line_ = 1 + std::ranges::count(rest_.substr(0, place), '\n');
    fail("NUL byte; expected UTF-8 text (is this a binary or UTF-16 file?)");
  }
}

std::string_view TableReader::take_line() {
  const size_t end = std::min(rest_.find('\n'), rest_.size());
  std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

void TableReader::fail(std::string_view problem) const {
  throw DataError(cat(path_.string(), ":", line_, ": ", problem));
}

std::unique_ptr<TableReader> open_table(const std::filesystem::path& path, TableFormat format, JsonMembers members) {
  switch (format) {
    case TableFormat::kCsv: return std::make_unique<CsvReader>(path);
    case TableFormat::kJsonLines: return std::make_unique<JsonLinesReader>(path, std::move(members));
    case TableFormat::kTsv: break;
  }
  return std::make_unique<TsvReader>(path);
}

std::string stray_labels_problem(std::string_view what, std::string_view name) {
  return cat("a ", what, " '", name, "', which GLUE's test sets do not have; is this a copy of another file?");
}

std::string number_problem(std::string_view name, std::string_view got, int64_t expected) {
  return cat(name, " is '", util::excerpt(got), "', expected ", expected,
             ": GLUE's test sets count their rows from 0, in order");
}

size_t locate_column(const Column& column, const TableReader& reader) {
  const std::vector<std::string_view>& header = reader.fields();
  if (column.name.empty()) {
    const auto index = static_cast<size_t>(column.index);
    if (index >= header.size()) {
      reader.fail(cat("no column ", column.index, " (counted from 0); the row has ", header.size(), " columns"));
    }
    return index;
  }
  const auto found = std::ranges::find(header, std::string_view(column.name));
  if (found == header.end()) {
    const std::vector<std::string> names(header.begin(), header.end());
    reader.fail(
        cat("no column '", column.name, "' in the header; it has ", util::excerpt(util::join(names, ", "), 200)));
  }
  if (std::ranges::count(header, std::string_view(column.name)) > 1) {
    reader.fail(cat("the header has the column '", column.name, "' more than once; rename one of them"));
  }
  return static_cast<size_t>(found - header.begin());
}

}  // namespace bertcram::glue
