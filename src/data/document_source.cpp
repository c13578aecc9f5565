#include "document_source.h"

#include "parquet_source.h"
#include "text_file_source.h"

namespace bertcram::data {

std::unique_ptr<DocumentSource> open_document_source(const std::filesystem::path& path,
                                                     const config::SourceConfig& source, const ReaderOptions& options,
                                                     BadRecords& bad_records) {
  if (is_parquet_file(path)) {
    return std::make_unique<ParquetSource>(path, source, options, bad_records);
  }
  return std::make_unique<TextFileSource>(path, source, options, bad_records);
}

}  // namespace bertcram::data
