#include "parquet_source.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

#include "bertcram/data/byte_source.h"
#include "bertcram/util/error.h"
#include "bertcram/util/shared_library.h"
#include "bertcram/util/stop.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "PAR1";
constexpr size_t kHashChunkBytes = size_t{1} << 18;

/// Arrow's messages have line ends within them and behind.
std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

[[noreturn]] void fail(const fs::path& path, const std::string& problem) {
  throw DataError(cat(path.string(), ": Parquet: ", one_line(problem)));
}

/// Loaded once and never unloaded: Arrow may have threads of its own.
OpenParquetColumn* load_module(const fs::path& path, const char* module) {
  const util::FoundFunction found = util::find_function(module, kOpenParquetColumn);
  if (found.address == nullptr) {
    fail(path, cat("this bertcram was built without it (", found.problem,
                   "); run ./scripts/setup.sh, which installs Arrow C++, and ./scripts/build.sh, or give the texts as "
                   "JSON lines"));
  }
  return reinterpret_cast<OpenParquetColumn*>(found.address);
}

}  // namespace

bool is_parquet(std::string_view beginning) {
  if (!beginning.starts_with(kMagic)) {
    return false;
  }
  const std::string_view rest = beginning.substr(kMagic.size(), 1);
  return rest.empty() || (static_cast<unsigned char>(rest[0]) < 0x20 && rest.find_first_of("\t\n\r\f") != 0);
}

bool is_parquet_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return false;  // reading would take bytes away from a pipe
  }
  std::array<char, kMagic.size() + 1> beginning{};
  std::ifstream file(path, std::ios::binary);
  file.read(beginning.data(), beginning.size());
  return is_parquet({beginning.data(), static_cast<size_t>(file.gcount())});
}

std::unique_ptr<ParquetColumn> open_parquet_column(const fs::path& path, const std::string& column,
                                                   const char* module) {
  OpenParquetColumn* const open = load_module(path, module);
  try {
    return std::unique_ptr<ParquetColumn>(open(path.string(), column));
  } catch (const std::exception& error) {
    fail(path, error.what());
  }
}

ParquetSource::ParquetSource(fs::path path, const config::SourceConfig& source, const ReaderOptions& options,
                             BadRecords& bad_records)
    : path_(std::move(path)),
      source_(source),
      options_(options),
      bad_records_(bad_records),
      column_(open_parquet_column(path_, source.text_field)),
      size_bytes_(static_cast<int64_t>(fs::file_size(path_))) {}

bool ParquetSource::read(DocumentSink& sink) {
  sink.summary.format = "parquet";
  if (texts_.empty()) {
    if (options_.stop != nullptr && options_.stop->requested()) {
      throw util::StoppedError(*options_.stop, cat("stopped while reading ", path_.string()));
    }
    try {
      texts_ = column_->next();
    } catch (const std::exception& error) {
      fail(path_, cat("damaged in or after row ", rows_read_ + 1, ": ", error.what(), "; fetch or copy it again"));
    }
    if (texts_.empty()) {
      if (rows_read_ != column_->rows()) {
        fail(path_, cat("damaged: it holds ", rows_read_, " rows, expected ", column_->rows()));
      }
      return false;
    }
  }
  while (!texts_.empty() && sink.wants_more()) {
    take(texts_.front(), sink);
    texts_ = texts_.subspan(1);
  }
  return true;
}

void ParquetSource::take(const std::optional<std::string_view>& text, DocumentSink& sink) {
  ++rows_read_;
  ++sink.summary.lines;
  if (text) {
    sink.summary.text_bytes += static_cast<int64_t>(text->size());
    sink.add_document(*text);
    return;
  }
  ++sink.summary.bad_records;
  if (bad_records_.add()) {
    fail(path_, cat("row ", rows_read_, " has no text in '", source_.text_field, "' (null)", bad_records_.ordinal(),
                    "; --max-bad-records allows more"));
  }
}

int64_t ParquetSource::file_bytes() const {
  if (is_hashed_ || column_->rows() == 0) {
    return size_bytes_;
  }
  return static_cast<int64_t>(static_cast<double>(size_bytes_) * static_cast<double>(rows_read_) /
                              static_cast<double>(column_->rows()));
}

util::Hash128 ParquetSource::file_hash() {
  const auto bytes = open_byte_source(path_, options_.stop);
  std::vector<char> buffer(kHashChunkBytes);
  while (bytes->read(buffer) > 0) {
  }
  is_hashed_ = true;
  size_bytes_ = bytes->file_bytes();
  return bytes->file_hash();
}

}  // namespace bertcram::data
