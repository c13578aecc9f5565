#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bertcram::util {

/// Columns that UTF-8 text takes on a terminal, one per character.
size_t columns_of(std::string_view text);

/// The longest beginning of the text that takes no more columns than that.
std::string_view first_columns(std::string_view text, size_t columns);

/// As many of the parts, from the first, as take no more columns together; the first one at least, cut if need be.
std::string join_fitting(std::span<const std::string> parts, std::string_view separator, size_t columns);

/// A table of text whose first columns are words, to the left, and whose others are numbers, to the right.
struct Table {
  size_t word_columns = 1;
  std::vector<std::vector<std::string>> rows = {};  ///< the first is the head; all have its length
};

/// Aligned columns with two spaces between them; each line ends with a newline. Widths are columns_of.
std::string plain_table(const Table& table);

/// As GitHub's Markdown; each line ends with a newline.
std::string markdown_table(const Table& table);

}  // namespace bertcram::util
