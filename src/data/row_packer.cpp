#include "row_packer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>

namespace bertcram::data {
namespace {

std::string shard_name(const std::string& split, size_t index) {
  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "-%05zu.bin", index);
  return split + number.data();
}

}  // namespace

RowPacker::RowPacker(std::filesystem::path directory, std::string split, const ShardShape& shape, int64_t shard_rows,
                     const text::SpecialTokens& special)
    : directory_(std::move(directory)),
      split_(std::move(split)),
      shape_(shape),
      shard_rows_(shard_rows),
      special_(special) {}

RowPacker::~RowPacker() = default;

void RowPacker::add_ids(std::span<const int32_t> ids) {
  while (!ids.empty()) {
    if (row_.empty()) {
      row_.push_back(special_.cls);
    }
    const size_t count = std::min(ids.size(), static_cast<size_t>(shape_.seq_len) - row_.size());
    row_.insert(row_.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count));
    ids = ids.subspan(count);
    if (static_cast<int64_t>(row_.size()) == shape_.seq_len) {
      write_row();
    }
  }
}

void RowPacker::write_row() {
  if (!writer_) {
    writer_ = std::make_unique<ShardWriter>(directory_ / shard_name(split_, entries_.size()), shape_);
  }
  writer_->add_row(row_);
  row_.clear();
  if (writer_->rows() == shard_rows_) {
    close_shard();
  }
}

void RowPacker::add_document(std::span<const int32_t> ids) {
  add_ids(ids);
  add_ids({&special_.sep, 1});
}

void RowPacker::close_shard() {
  const std::string header_hash = writer_->commit();
  entries_.push_back(
      {.file = shard_name(split_, entries_.size()), .rows = writer_->rows(), .header_hash = header_hash});
  writer_.reset();
}

void RowPacker::finish() {
  if (writer_) {
    close_shard();
  }
}

int64_t RowPacker::rows() const {
  return std::accumulate(entries_.begin(), entries_.end(), int64_t{0},
                         [](int64_t sum, const ShardEntry& entry) { return sum + entry.rows; });
}

}  // namespace bertcram::data
