#pragma once
// One input file as a stream of documents, whatever it is.

#include <filesystem>
#include <memory>
#include <string>

#include "bertcram/config/source_config.h"
#include "bertcram/data/document_reader.h"
#include "bertcram/util/hash.h"
#include "document_sink.h"

namespace bertcram::data {

/// Not thread-safe.
class DocumentSource {
 public:
  virtual ~DocumentSource() = default;
  /// Reads on, giving documents to the sink until it wants no more or a portion of the file is used up.
  /// @return false at the end of the file; its last document may still be open in the sink
  /// @throws DataError on damaged or unsuitable input, util::StoppedError
  virtual bool read(DocumentSink& sink) = 0;
  /// Bytes of the file used so far, for progress; once read to the end, all of them.
  virtual int64_t file_bytes() const = 0;
  /// XXH3-128 of the first file_bytes() bytes of the file.
  virtual util::Hash128 file_hash() = 0;
};

/// Opens a file by its content: Parquet, or text that may be compressed; "-" is standard input. @throws DataError
std::unique_ptr<DocumentSource> open_document_source(const std::filesystem::path& path,
                                                     const config::SourceConfig& source, const ReaderOptions& options,
                                                     BadRecords& bad_records);

}  // namespace bertcram::data
