#pragma once
// Documents from text inputs, whatever their compression and format.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/config/text_input_config.h"
#include "bertcram/data/byte_source.h"

namespace bertcram::data {

/// Files behind the user's words: files as they are, folders (recursively, sorted), globs (sorted), "-" for stdin.
/// @param flag  where the words come from, for the error. @throws DataError if a word matches nothing
std::vector<std::filesystem::path> expand_inputs(const std::string& flag, const std::vector<std::string>& words);

/// A run of documents, one behind the other in `text`. NUL bytes of the input were dropped (and counted).
struct DocumentBatch {
  std::string text;
  std::vector<size_t> ends;  ///< end offset of each document in text
  int64_t source_bytes = 0;  ///< file bytes read for it, for progress

  size_t size() const { return ends.size(); }
  std::string_view operator[](size_t index) const {
    const size_t begin = index == 0 ? 0 : ends[index - 1];
    return std::string_view(text).substr(begin, ends[index] - begin);
  }
};

/// What one input file turned out to hold.
struct SourceSummary {
  std::string path;
  int64_t file_bytes = 0;
  int64_t text_bytes = 0;
  int64_t documents = 0;
  int64_t nul_bytes = 0;     ///< dropped
  int64_t lines = 0;         ///< read so far, the last one without an end included
  int64_t bad_records = 0;   ///< JSON lines without a text, skipped
  int64_t invalid_utf8 = 0;  ///< byte sequences of JSON lines read as U+FFFD; in plain text the packer counts them
  std::string format;        ///< blocks, lines or jsonl
  std::string hash;          ///< XXH3-128 of the file's bytes
};

/// A place between two documents of a list of files.
struct ReaderPosition {
  std::vector<SourceSummary> finished = {};  ///< the files that were read to their end, the first ones of the list
  int64_t documents = 0;                     ///< given out of the file after these
};

struct ReaderOptions {
  config::TextInputConfig input = {};
  size_t batch_bytes = size_t{1} << 20;  ///< a batch is complete with the document that reaches this
  const util::StopFlag* stop = nullptr;  ///< ends a read that waits for input
  ReaderPosition start = {};             ///< of an earlier reader of the same files: finished ones are not opened
};

class DocumentFormat;

/// Records that could not be read, over all files of a command.
struct BadRecords {
  int64_t allowed = 0;
  int64_t found = 0;
};

/// Streams documents from files in order. Memory is bounded by the batch size plus the longest document.
/// Not thread-safe: callers that share it lock around next().
class DocumentReader {
 public:
  explicit DocumentReader(std::vector<std::filesystem::path> files, ReaderOptions options = {});
  ~DocumentReader();

  /// The next documents, or nullopt at the end. @throws DataError on damaged or binary input, util::StoppedError
  std::optional<DocumentBatch> next();
  /// One entry per file that was read to its end.
  const std::vector<SourceSummary>& summaries() const { return summaries_; }
  /// Documents given out so far of the file after these.
  int64_t documents_of_open_file() const { return source_ ? summary_.documents : 0; }

 private:
  bool fill();
  void choose_format();
  void take_lines(DocumentBatch& batch);
  void take_line(DocumentBatch& batch, std::string_view line);
  void finish_source(DocumentBatch& batch);
  DocumentBatch read_batch();
  void skip_known(DocumentBatch& batch);

  std::vector<std::filesystem::path> files_;
  ReaderOptions options_;
  size_t next_file_ = 0;
  std::unique_ptr<ByteSource> source_;
  std::unique_ptr<DocumentFormat> format_;  ///< of the open file, once its beginning is read
  BadRecords bad_records_;
  SourceSummary summary_;
  std::vector<SourceSummary> summaries_;
  std::string pending_;        ///< bytes read, not yet split into lines
  size_t pending_at_ = 0;      ///< first unused byte of pending_
  size_t scanned_ = 0;         ///< bytes of pending_ known to hold no newline
  std::string open_document_;  ///< lines of a document whose end was not seen yet
  int64_t last_file_bytes_ = 0;
  int64_t known_documents_;  ///< of the open file, still to be skipped
};

}  // namespace bertcram::data
