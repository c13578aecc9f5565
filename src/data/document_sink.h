#pragma once
// Where the documents of a file go: the open batch, what is counted about the file, and how much of its source is wanted.

#include <cstdint>
#include <string_view>

#include "bertcram/config/source_config.h"
#include "bertcram/data/document_reader.h"

namespace bertcram::data {

/// What was taken of one source so far, over all its files.
struct Intake {
  int64_t documents = 0;  ///< before its weight left some out
  int64_t bytes = 0;      ///< of these
  bool is_over = false;   ///< a limit was reached
};

/// How often a source of this weight wants a document: the weight rounded up or down by the hash of the text, so that
/// it depends on nothing else. Of two weights the larger wants at least as many copies of each text.
/// @param seed  another seed, another choice
int64_t copies_of(std::string_view document, double weight, uint64_t seed);

/// The open document, if any, lies at the end of the batch.
struct DocumentSink {
  DocumentBatch& batch;
  SourceSummary& summary;
  const config::SourceConfig& source;
  Intake& intake;
  const ReaderOptions& options;

  /// Adds a line to the open document, with one LF behind it.
  void add_line(std::string_view line);
  size_t open_bytes() const { return batch.text.size() - (batch.ends.empty() ? 0 : batch.ends.back()); }
  /// Ends the open document, if it holds anything, and takes or drops it.
  void end_document();
  /// A whole document. It may hold line ends of its own, blank lines too. NUL bytes are dropped and counted.
  void add_document(std::string_view text);

  /// False once the batch is complete, or nothing more of this source is wanted.
  bool wants_more() const;

 private:
  bool is_within_limits(size_t document_bytes);
};

}  // namespace bertcram::data
