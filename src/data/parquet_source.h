#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "document_source.h"
#include "parquet_column.h"

namespace bertcram::data {

/// Whether a file that begins like this is Parquet: its magic number, and behind it what no text has. The number alone
/// could be a word.
bool is_parquet(std::string_view beginning);
/// Whether this is such a file. False for what cannot be read or is no regular file.
bool is_parquet_file(const std::filesystem::path& path);

/// @param module  the library that reads Parquet
/// @throws DataError naming the file: no such column, damage, or a build without Parquet
std::unique_ptr<ParquetColumn> open_parquet_column(const std::filesystem::path& path, const std::string& column,
                                                   const char* module = kParquetModule);

/// A Parquet file, of whose text column each row is a document. Memory is bounded by one page (usually 1 MB).
class ParquetSource : public DocumentSource {
 public:
  ParquetSource(std::filesystem::path path, const config::SourceConfig& source, const ReaderOptions& options,
                BadRecords& bad_records);

  bool read(DocumentSink& sink) override;
  int64_t file_bytes() const override;
  /// Reads the file once from its beginning to its end. @throws util::StoppedError
  util::Hash128 file_hash() override;

 private:
  void take(const std::optional<std::string_view>& text, DocumentSink& sink);

  std::filesystem::path path_;
  const config::SourceConfig& source_;
  const ReaderOptions& options_;
  BadRecords& bad_records_;
  std::unique_ptr<ParquetColumn> column_;
  std::span<const std::optional<std::string_view>> texts_;  ///< read, not given to the sink yet
  int64_t size_bytes_;
  int64_t rows_read_ = 0;
  bool is_hashed_ = false;
};

}  // namespace bertcram::data
