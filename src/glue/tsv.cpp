#include "tsv.h"

#include <algorithm>
#include <utility>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {

TsvReader::TsvReader(std::filesystem::path path) : path_(std::move(path)), file_(path_) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  rest_ = file_.text();
  if (rest_.starts_with(kByteOrderMark)) {
    rest_.remove_prefix(kByteOrderMark.size());
  }
  while (rest_.ends_with('\n') || rest_.ends_with('\r')) {
    rest_.remove_suffix(1);
  }
}

TsvReader::Step TsvReader::next() {
  if (rest_.empty()) {
    return Step::kEnd;
  }
  const size_t end = std::min(rest_.find('\n'), rest_.size());
  std::string_view text = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  ++line_;
  if (text.ends_with('\r')) {
    text.remove_suffix(1);
  }
  if (text.find('\0') != std::string_view::npos) {
    fail("NUL byte; expected UTF-8 text (is this a binary or UTF-16 file?)");
  }
  fields_ = util::split(text, '\t');
  return Step::kRow;
}

void TsvReader::fail(std::string_view problem) const {
  throw DataError(cat(path_.string(), ":", line_, ": ", problem));
}

size_t locate_column(const Column& column, const std::vector<std::string_view>& header, const TsvReader& reader) {
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
  return static_cast<size_t>(found - header.begin());
}

}  // namespace bertcram::glue
