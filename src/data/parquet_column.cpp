#include "parquet_column.h"

#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace bertcram::data {
namespace {

// A page is read in portions of so many values, so that what is held beside it stays small.
constexpr int64_t kValuesAtATime = 1024;
constexpr int64_t kStreamBufferBytes = int64_t{1} << 20;

parquet::ReaderProperties reader_properties() {
  parquet::ReaderProperties properties;
  properties.enable_buffered_stream();  // otherwise a row group's whole column is read at once
  properties.set_buffer_size(kStreamBufferBytes);
  properties.set_page_checksum_verification(true);  // where the writer stored them
  return properties;
}

/// String, large_string and dictionaries of strings are all byte arrays in the file; old writers do not call them texts.
bool is_text(const parquet::schema::Node& node) {
  if (!node.is_primitive() || node.is_repeated() ||
      static_cast<const parquet::schema::PrimitiveNode&>(node).physical_type() != parquet::Type::BYTE_ARRAY) {
    return false;
  }
  const auto& logical = node.logical_type();
  return logical == nullptr || logical->is_none() || logical->is_string() || logical->is_JSON() || logical->is_enum();
}

class TextColumn : public ParquetColumn {
 public:
  TextColumn(const std::string& path, const std::string& name)
      : file_(parquet::ParquetFileReader::OpenFile(path, /*memory_map=*/false, reader_properties())),
        metadata_(file_->metadata()),
        index_(find(name)),
        max_level_(metadata_->schema()->Column(index_)->max_definition_level()) {}

  int64_t rows() const override { return metadata_->num_rows(); }

  std::span<const std::optional<std::string_view>> next() override {
    while (true) {
      if (column_ == nullptr && !open_next_group()) {
        return {};
      }
      if (column_->HasNext()) {
        return read_values();
      }
      if (left_in_group_ != 0) {
        throw std::runtime_error("a row group holds fewer values than its header says");
      }
      column_.reset();
    }
  }

 private:
  /// The column's place among the leaves of the schema.
  int find(const std::string& name) const {
    const auto* schema = metadata_->schema();
    const auto* root = schema->group_node();
    const int field = root->FieldIndex(name);
    if (field < 0) {
      std::string names;
      for (int i = 0; i < root->field_count(); ++i) {
        names += (i == 0 ? "" : ", ") + root->field(i)->name();
      }
      throw std::runtime_error("no column '" + name + "'; its columns are: " + names + ". --text-field names another");
    }
    if (!is_text(*root->field(field))) {
      throw std::runtime_error("its column '" + name + "' holds no texts; --text-field names another");
    }
    return schema->ColumnIndex(*root->field(field));
  }

  bool open_next_group() {
    if (next_group_ == metadata_->num_row_groups()) {
      return false;
    }
    group_ = file_->RowGroup(next_group_++);
    left_in_group_ = group_->metadata()->num_rows();
    column_ = std::dynamic_pointer_cast<parquet::ByteArrayReader>(group_->Column(index_));
    if (column_ == nullptr) {
      throw std::runtime_error("a row group has another type than the file's schema says");
    }
    return true;
  }

  std::span<const std::optional<std::string_view>> read_values() {
    int64_t found = 0;
    const int64_t rows = column_->ReadBatch(kValuesAtATime, levels_.data(), nullptr, values_.data(), &found);
    left_in_group_ -= rows;
    int64_t used = 0;
    for (int64_t i = 0; i < rows; ++i) {
      const auto row = static_cast<size_t>(i);
      const bool is_null = max_level_ > 0 && levels_[row] < max_level_;
      if (!is_null && used == found) {
        break;
      }
      texts_[row] = is_null ? std::nullopt : std::optional(text_of(values_[static_cast<size_t>(used++)]));
    }
    if (rows <= 0 || used != found || left_in_group_ < 0) {
      throw std::runtime_error("a page holds another number of values than its header says");
    }
    return std::span(texts_).first(static_cast<size_t>(rows));
  }

  static std::string_view text_of(const parquet::ByteArray& value) {
    return value.len == 0 ? std::string_view() : std::string_view(reinterpret_cast<const char*>(value.ptr), value.len);
  }

  std::unique_ptr<parquet::ParquetFileReader> file_;
  std::shared_ptr<parquet::FileMetaData> metadata_;
  int index_;
  int16_t max_level_;  ///< 0: the column has no nulls
  int next_group_ = 0;
  std::shared_ptr<parquet::RowGroupReader> group_;
  std::shared_ptr<parquet::ByteArrayReader> column_;
  int64_t left_in_group_ = 0;
  std::array<int16_t, kValuesAtATime> levels_{};
  std::array<parquet::ByteArray, kValuesAtATime> values_{};
  std::array<std::optional<std::string_view>, kValuesAtATime> texts_{};
};

}  // namespace
}  // namespace bertcram::data

extern "C" {
/// See parquet_column.h.
bertcram::data::ParquetColumn* bertcram_open_parquet_column(const std::string& path, const std::string& column) {
  return new bertcram::data::TextColumn(path, column);
}
}
