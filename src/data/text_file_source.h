#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "bertcram/data/byte_source.h"
#include "document_format.h"
#include "document_source.h"

namespace bertcram::data {

/// A file of lines, of which a DocumentFormat makes documents. Memory is bounded by kLongestText.
class TextFileSource : public DocumentSource {
 public:
  /// @throws DataError if the file cannot be read
  TextFileSource(const std::filesystem::path& path, const config::SourceConfig& source, const ReaderOptions& options,
                 BadRecords& bad_records);

  bool read(DocumentSink& sink) override;
  int64_t file_bytes() const override { return bytes_->file_bytes(); }
  util::Hash128 file_hash() override { return bytes_->file_hash(); }

 private:
  bool fill(SourceSummary& summary);
  void choose_format(SourceSummary& summary);
  void take_lines(DocumentSink& sink);
  void take_piece(DocumentSink& sink);
  void take_line(DocumentSink& sink, std::string_view line);

  std::unique_ptr<ByteSource> bytes_;
  const config::SourceConfig& source_;
  BadRecords& bad_records_;
  std::unique_ptr<DocumentFormat> format_;  ///< once the beginning is read
  std::string pending_;                     ///< bytes read, not yet split into lines
  size_t pending_at_ = 0;                   ///< first unused byte of pending_
  size_t scanned_ = 0;                      ///< bytes of pending_ known to hold no newline
};

}  // namespace bertcram::data
