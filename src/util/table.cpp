#include "bertcram/util/table.h"

#include <algorithm>
#include <utility>

#include "bertcram/util/text.h"

namespace bertcram::util {
namespace {

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }

}  // namespace

size_t columns_of(std::string_view text) { return static_cast<size_t>(std::ranges::count_if(text, begins_character)); }

std::string_view first_columns(std::string_view text, size_t columns) {
  size_t end = 0;
  for (size_t count = 0; end < text.size(); ++end) {
    if (begins_character(text[end]) && count++ == columns) {
      break;
    }
  }
  return text.substr(0, end);
}

std::string join_fitting(std::span<const std::string> parts, std::string_view separator, size_t columns) {
  std::string text;
  for (const std::string& part : parts) {
    std::string longer = text;
    if (!longer.empty()) {
      longer += separator;
    }
    longer += part;
    if (columns_of(longer) > columns) {
      break;
    }
    text = std::move(longer);
  }
  return text.empty() && !parts.empty() ? std::string(first_columns(parts.front(), columns)) : text;
}

std::string plain_table(const Table& table) {
  std::vector<size_t> widths(table.rows.front().size());
  for (const auto& row : table.rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], columns_of(row[column]));
    }
  }
  std::string text;
  for (const auto& row : table.rows) {
    std::string line;
    for (size_t column = 0; column < row.size(); ++column) {
      const std::string padding(widths[column] - columns_of(row[column]), ' ');
      line += column == 0 ? "" : "  ";
      line += column < table.word_columns ? row[column] + padding : padding + row[column];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string markdown_table(const Table& table) {
  const auto line_of = [](const std::vector<std::string>& row) { return "| " + join(row, " | ") + " |\n"; };
  std::vector<std::string> rule(table.rows.front().size(), "---:");
  std::fill_n(rule.begin(), table.word_columns, "---");
  std::string text = line_of(table.rows.front()) + line_of(rule);
  for (size_t i = 1; i < table.rows.size(); ++i) {
    text += line_of(table.rows[i]);
  }
  return text;
}

}  // namespace bertcram::util
