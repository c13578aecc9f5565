#pragma once
// Documents from text inputs, whatever their compression and format.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/config/source_config.h"
#include "bertcram/config/text_input_config.h"
#include "bertcram/data/input_list.h"
#include "bertcram/util/stop.h"

namespace bertcram::data {

/// A run of documents, one behind the other in `text`. NUL bytes of the input were dropped (and counted).
struct DocumentBatch {
  std::string text;
  std::vector<size_t> ends;     ///< end offset of each document in text
  std::vector<int64_t> copies;  ///< how often each document is wanted, >= 1: the weight of its source
  int64_t source_bytes = 0;     ///< file bytes read for it, for progress
  int64_t known_bytes = 0;      ///< file bytes read before it for documents that an earlier reader gave out

  size_t size() const { return ends.size(); }
  std::string_view operator[](size_t index) const {
    const size_t begin = index == 0 ? 0 : ends[index - 1];
    return std::string_view(text).substr(begin, ends[index] - begin);
  }
};

/// A line of text that is longer is cut, behind white space where there is some, and so is a document, between two lines:
/// memory stays bounded whatever the input is. A longer JSON line is a bad record.
inline constexpr size_t kLongestText = size_t{64} << 20;

/// What one input file turned out to hold.
struct SourceSummary {
  std::string path;
  int64_t file_bytes = 0;  ///< read
  int64_t text_bytes = 0;
  int64_t document_bytes = 0;      ///< of the documents, those left out too
  int64_t documents = 0;           ///< given
  int64_t documents_left_out = 0;  ///< by the weight of its source
  int64_t nul_bytes = 0;           ///< dropped
  int64_t lines = 0;               ///< or rows, read so far, the last one without an end included
  int64_t bad_records = 0;         ///< JSON lines or rows without a text, skipped
  int64_t invalid_utf8 = 0;    ///< byte sequences of JSON lines read as U+FFFD; in other text the packer counts them
  int64_t cuts = 0;            ///< places where a line or document of more than kLongestText was cut
  std::string format;          ///< blocks, lines, jsonl or parquet; empty if it was not read
  std::string hash;            ///< XXH3-128 of the first file_bytes bytes of the file
  bool is_complete = true;     ///< these are all of its bytes; false where a limit ended the source before
  bool limit_reached = false;  ///< of its source
  config::SourceConfig rules;  ///< of its source
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
  uint64_t seed = 0;                     ///< of the choice that the weights of sources make
  ReaderPosition start = {};             ///< of an earlier reader of the same inputs: finished files are not opened
};

class DocumentSource;
struct DocumentSink;
struct Intake;

/// Records that could not be read, over all files of a command.
struct BadRecords {
  int64_t allowed = 0;
  int64_t found = 0;

  /// Counts one. @return whether it is more than allowed
  bool add() { return ++found > allowed; }
  /// "; it is bad record number 3", where that is not plain.
  std::string ordinal() const;
};

/// Streams documents from files in order. Memory is bounded by the batch size plus the longest document.
/// Not thread-safe: callers that share it lock around next().
class DocumentReader {
 public:
  /// All files as they are, read as options.input says.
  explicit DocumentReader(const std::vector<std::filesystem::path>& files, const ReaderOptions& options = {});
  /// Each file as its source says; of options.input only max_bad_records matters.
  DocumentReader(InputList inputs, ReaderOptions options);
  ~DocumentReader();

  /// The next documents, or nullopt at the end, and after an error: of several threads only one gets it.
  /// @throws DataError on damaged or binary input, util::StoppedError
  std::optional<DocumentBatch> next();
  /// One entry per file that was read to its end, or as far as it is wanted.
  const std::vector<SourceSummary>& summaries() const { return summaries_; }
  /// Documents given out so far of the file after these.
  int64_t documents_of_open_file() const { return source_ ? summary_.documents : 0; }

 private:
  enum class Reached { kEnd, kLimit };

  void restore(const ReaderPosition& position);
  DocumentBatch read_batch();
  bool skip_known(DocumentBatch& batch);
  bool open_next();
  void finish_source(DocumentSink& sink, Reached reached);
  const config::SourceConfig& rules() const { return inputs_.sources[inputs_.files[file_].source]; }
  Intake& intake();

  InputList inputs_;
  ReaderOptions options_;
  std::vector<Intake> intakes_;  ///< one per source
  BadRecords bad_records_;
  size_t file_ = 0;                         ///< the open one, or else the next
  std::unique_ptr<DocumentSource> source_;  ///< the open file
  SourceSummary summary_;                   ///< of the open file
  std::vector<SourceSummary> summaries_;
  std::string open_document_;  ///< text of a document whose end was not seen yet
  int64_t last_file_bytes_ = 0;
  int64_t known_documents_ = 0;  ///< of the open file, still to be skipped
  bool is_inside_next_ = false;  ///< and for ever after one that threw
};

}  // namespace bertcram::data
