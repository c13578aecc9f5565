#pragma once
// How the lines of a text file make documents: blocks between blank lines, one document per line, or JSON objects.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bertcram/config/text_input_config.h"
#include "bertcram/data/document_reader.h"
#include "document_sink.h"

namespace bertcram::data {

/// Reads one file line by line. The open document, if any, lies at the end of the batch.
class DocumentFormat {
 public:
  virtual ~DocumentFormat() = default;
  /// @param line  without its end (LF or CRLF)  @throws DataError naming file and line if the file is unsuitable
  virtual void add_line(std::string_view line, DocumentSink& sink) = 0;
  /// The beginning of a line that is longer than kLongestText; add_line gets the end of it. @throws DataError as add_line
  virtual void add_piece(std::string_view piece, DocumentSink& sink) = 0;
};

/// How much of a file there is to judge by.
enum class Extent {
  kBeginning,  ///< its last line may go on
  kWhole,
};

/// The format that the beginning of a file tells: JSON lines if it begins with `{` and one of the first lines is a JSON
/// object, or if of these only the very first is none (a part of a file that was split somewhere); otherwise blocks. A first
/// line that is longer than `beginning` is judged by its first character.
config::TextFormat detect_format(std::string_view beginning, Extent extent);

/// Whether a file begins as a JSON array of objects, on one line or indented: `[`, `{` and `"`, white space between.
bool is_json_array(std::string_view beginning);

/// Whether a file begins as a JSON object over several lines, as `jq .` writes it: `{`, the end of a line, a key and `:`.
bool is_indented_json_object(std::string_view beginning);

/// @param format  not kAuto
std::unique_ptr<DocumentFormat> make_document_format(config::TextFormat format, const std::string& text_field,
                                                     BadRecords& bad_records);

}  // namespace bertcram::data
