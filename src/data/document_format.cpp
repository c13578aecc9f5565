#include "document_format.h"

#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::data {
namespace {

/// Whether the line separates blocks: white space of ASCII alone, unlike text::is_blank.
bool is_blank_line(std::string_view line) { return util::trim(line).empty(); }

constexpr std::string_view kJsonSpace = " \t\r\n";

std::string_view without_json_space(std::string_view text) {
  return text.substr(std::min(text.size(), text.find_first_not_of(kJsonSpace)));
}

/// Blocks of lines, separated by blank ones.
class BlockFormat : public DocumentFormat {
 public:
  void add_line(std::string_view line, DocumentSink& sink) override {
    if (is_blank_line(line)) {
      sink.end_document();
      return;
    }
    sink.add_line(line);
    if (sink.open_bytes() >= kLongestText) {  // a file without blank lines may be of any size
      ++sink.summary.cuts;
      sink.end_document();
    }
  }
  void add_piece(std::string_view piece, DocumentSink& sink) override {
    ++sink.summary.cuts;
    sink.add_line(piece);
    sink.end_document();
  }
};

/// Each line that is not blank.
class LineFormat : public DocumentFormat {
 public:
  void add_line(std::string_view line, DocumentSink& sink) override {
    if (!is_blank_line(line)) {
      sink.add_line(line);
      sink.end_document();
    }
  }
  void add_piece(std::string_view piece, DocumentSink& sink) override {
    ++sink.summary.cuts;
    add_line(piece, sink);
  }
};

/// What a JSON line gave: its text, or what is wrong with it.
struct JsonText {
  std::string_view text = {};  ///< valid until the parser's next document
  std::string problem = {};
};

JsonText text_of(simdjson::dom::parser& parser, std::string_view line, const std::string& field) {
  simdjson::dom::element root;
  if (const auto error = parser.parse(line.data(), line.size()).get(root); error != simdjson::SUCCESS) {
    return {.problem = cat("is no JSON (", simdjson::error_message(error), ")")};
  }
  simdjson::dom::object object;
  if (root.get(object) != simdjson::SUCCESS) {
    return {.problem = "is no JSON object"};
  }
  simdjson::dom::element value;
  if (object.at_key(field).get(value) != simdjson::SUCCESS) {
    return {.problem = cat("has no '", field, "'")};
  }
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) {
    return {.problem = cat("has a '", field, "' that is no text")};
  }
  return {.text = text};
}

/// One JSON object per line, of which one field is the document.
class JsonLinesFormat : public DocumentFormat {
 public:
  JsonLinesFormat(std::string field, BadRecords& bad_records) : field_(std::move(field)), bad_records_(bad_records) {}

  void add_line(std::string_view line, DocumentSink& sink) override {
    if (std::exchange(is_too_long_, false) || is_blank_line(line)) {
      return;
    }
    std::string repaired;
    if (const int64_t invalid = text::count_invalid_utf8(line); invalid > 0) {
      sink.summary.invalid_utf8 += invalid;
      repaired = text::repair_utf8(line);
      line = repaired;
    }
    const JsonText found = text_of(parser_, line, field_);
    if (!found.problem.empty()) {
      refuse(sink.summary.lines, found.problem, sink.summary);
      return;
    }
    sink.add_document(found.text);
  }

  void add_piece(std::string_view, DocumentSink& sink) override {
    if (!std::exchange(is_too_long_, true)) {
      refuse(sink.summary.lines + 1, cat("has more than ", util::format_bytes(kLongestText)), sink.summary);
    }
  }

 private:
  void refuse(int64_t line, const std::string& problem, SourceSummary& summary) {
    ++summary.bad_records;
    if (bad_records_.add()) {
      throw DataError(cat(summary.path, ":", line, ": the line ", problem, bad_records_.ordinal(),
                          "; expected an object with its text in '", field_,
                          "' (--text-field); --max-bad-records allows more bad lines"));
    }
  }

  std::string field_;
  BadRecords& bad_records_;
  bool is_too_long_ = false;  ///< the line whose end comes next
  simdjson::dom::parser parser_;
};

}  // namespace

config::TextFormat detect_format(std::string_view beginning, Extent extent) {
  constexpr int kJudgedLines = 16;
  const auto begin = std::ranges::find_if_not(beginning, [](char c) { return is_blank_line({&c, 1}); });
  beginning.remove_prefix(static_cast<size_t>(begin - beginning.begin()));
  const bool begins_like_object = beginning.starts_with('{');
  simdjson::dom::parser parser;
  int lines = 0;
  int objects = 0;
  while (!beginning.empty() && lines < kJudgedLines) {
    const size_t newline = beginning.find('\n');
    if (newline == std::string_view::npos && extent == Extent::kBeginning) {
      break;
    }
    const std::string_view line = beginning.substr(0, newline);
    if (!is_blank_line(line)) {
      simdjson::dom::object object;
      ++lines;
      objects += parser.parse(text::repair_utf8(line)).get(object) == simdjson::SUCCESS ? 1 : 0;
    }
    beginning.remove_prefix(std::min(beginning.size(), line.size() + 1));
  }
  const bool only_first_is_cut = objects >= 2 && objects == lines - 1;
  const bool is_jsonl = begins_like_object ? objects > 0 || lines == 0 : only_first_is_cut;
  return is_jsonl ? config::TextFormat::kJsonl : config::TextFormat::kBlocks;
}

bool is_json_array(std::string_view beginning) {
  for (const char expected : {'[', '{', '"'}) {
    const size_t at = beginning.find_first_not_of(kJsonSpace);
    if (at == std::string_view::npos || beginning[at] != expected) {
      return false;
    }
    beginning.remove_prefix(at + 1);
  }
  return true;
}

bool is_indented_json_object(std::string_view beginning) {
  const std::string_view object = without_json_space(beginning);
  if (!object.starts_with('{')) {
    return false;
  }
  const std::string_view key = without_json_space(object.substr(1));
  const std::string_view space = object.substr(1, object.size() - 1 - key.size());
  if (!key.starts_with('"') || space.find('\n') == std::string_view::npos) {
    return false;
  }
  size_t end = 1;
  while (end < key.size() && key[end] != '"') {
    end += key[end] == '\\' ? 2U : 1U;
  }
  return end < key.size() && without_json_space(key.substr(end + 1)).starts_with(':');
}

std::unique_ptr<DocumentFormat> make_document_format(config::TextFormat format, const std::string& text_field,
                                                     BadRecords& bad_records) {
  switch (format) {
    case config::TextFormat::kLines: return std::make_unique<LineFormat>();
    case config::TextFormat::kJsonl: return std::make_unique<JsonLinesFormat>(text_field, bad_records);
    case config::TextFormat::kAuto:
    case config::TextFormat::kBlocks: break;
  }
  return std::make_unique<BlockFormat>();
}

}  // namespace bertcram::data
