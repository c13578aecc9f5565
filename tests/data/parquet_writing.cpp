#include "data/parquet_writing.h"

#include <arrow/io/file.h>
#include <parquet/column_writer.h>
#include <parquet/file_writer.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include <algorithm>

namespace bertcram::test {
namespace {

using parquet::LogicalType;
using parquet::Repetition;
using parquet::schema::GroupNode;
using parquet::schema::PrimitiveNode;

parquet::schema::NodePtr column_node(const ParquetFile& file) {
  const auto repetition = file.may_be_null ? Repetition::OPTIONAL : Repetition::REQUIRED;
  switch (file.kind) {
    case ColumnKind::kNumber: return PrimitiveNode::Make(file.column, repetition, parquet::Type::INT64);
    case ColumnKind::kBytes: return PrimitiveNode::Make(file.column, repetition, parquet::Type::BYTE_ARRAY);
    case ColumnKind::kDecimal:
      return PrimitiveNode::Make(file.column, repetition, LogicalType::Decimal(9, 2), parquet::Type::BYTE_ARRAY);
    case ColumnKind::kRepeatedText:
      return PrimitiveNode::Make(file.column, Repetition::REPEATED, LogicalType::String(), parquet::Type::BYTE_ARRAY);
    case ColumnKind::kText: break;
  }
  return PrimitiveNode::Make(file.column, repetition, LogicalType::String(), parquet::Type::BYTE_ARRAY);
}

std::shared_ptr<parquet::WriterProperties> properties_of(const ParquetFile& file) {
  parquet::WriterProperties::Builder builder;
  builder.data_pagesize(file.page_bytes)->write_batch_size(16);
  builder.data_page_version(file.data_page_version == 1 ? parquet::ParquetDataPageVersion::V1
                                                        : parquet::ParquetDataPageVersion::V2);
  builder.compression(file.compression == Compression::kNone     ? parquet::Compression::UNCOMPRESSED
                      : file.compression == Compression::kSnappy ? parquet::Compression::SNAPPY
                                                                 : parquet::Compression::ZSTD);
  file.has_dictionary ? builder.enable_dictionary() : builder.disable_dictionary();
  file.has_checksums ? builder.enable_page_checksum() : builder.disable_page_checksum();
  return builder.build();
}

void write_texts(parquet::ColumnWriter* writer, const ParquetFile& file, size_t begin, size_t end) {
  std::vector<int16_t> levels;
  std::vector<int16_t> repetitions;
  std::vector<parquet::ByteArray> values;
  for (size_t i = begin; i < end; ++i) {
    levels.push_back(file.texts[i].has_value() ? 1 : 0);
    repetitions.push_back(0);
    if (file.texts[i]) {
      values.emplace_back(static_cast<uint32_t>(file.texts[i]->size()),
                          reinterpret_cast<const uint8_t*>(file.texts[i]->data()));
    }
  }
  const auto rows = static_cast<int64_t>(levels.size());
  if (file.kind == ColumnKind::kNumber) {
    const std::vector<int64_t> numbers(values.size(), 7);
    static_cast<parquet::Int64Writer*>(writer)->WriteBatch(rows, levels.data(), nullptr, numbers.data());
  } else {
    static_cast<parquet::ByteArrayWriter*>(writer)->WriteBatch(rows, levels.data(), repetitions.data(), values.data());
  }
}

}  // namespace

std::filesystem::path write_parquet(const std::filesystem::path& path, const ParquetFile& file) {
  const auto schema = std::static_pointer_cast<GroupNode>(GroupNode::Make(
      "schema", Repetition::REQUIRED,
      {PrimitiveNode::Make("id", Repetition::REQUIRED, parquet::Type::INT64), column_node(file),
       PrimitiveNode::Make("url", Repetition::REQUIRED, LogicalType::String(), parquet::Type::BYTE_ARRAY)}));
  const auto sink = arrow::io::FileOutputStream::Open(path.string()).ValueOrDie();
  const auto writer = parquet::ParquetFileWriter::Open(sink, schema, properties_of(file));
  const auto group_rows = static_cast<size_t>(file.rows_per_group);
  for (size_t begin = 0; begin < file.texts.size(); begin += group_rows) {
    const size_t end = std::min(begin + group_rows, file.texts.size());
    const auto rows = static_cast<int64_t>(end - begin);
    auto* group = writer->AppendRowGroup();
    const std::vector<int64_t> ids(end - begin, 1);
    static_cast<parquet::Int64Writer*>(group->NextColumn())->WriteBatch(rows, nullptr, nullptr, ids.data());
    write_texts(group->NextColumn(), file, begin, end);
    const std::vector<parquet::ByteArray> urls(end - begin, parquet::ByteArray("https://example.org"));
    static_cast<parquet::ByteArrayWriter*>(group->NextColumn())->WriteBatch(rows, nullptr, nullptr, urls.data());
    group->Close();
  }
  writer->Close();
  if (!sink->Close().ok()) {
    throw std::runtime_error("cannot write " + path.string());
  }
  return path;
}

}  // namespace bertcram::test
