#include "buckets.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>

#include "bertcram/util/error.h"

namespace bertcram::data {
namespace {

// 256 buckets: 20 GB of text are about 4 billion tokens or 8 GB, hence some 30 MB to sort at a time. A curriculum fills
// them unevenly, the largest with about a twentieth of the text.
constexpr unsigned kBucketBits = 8;
constexpr size_t kBufferBytes = size_t{1} << 16;

/// Precedes each document's ids, and those its paragraphs, in a bucket file.
struct Record {
  util::Hash128 content;
  uint64_t place = 0;
  uint64_t id_count = 0;
  uint32_t paragraph_count = 0;
  uint32_t number = 0;
  uint32_t copy = 0;
  uint32_t unused = 0;
};

template <class Id>
void append_ids(std::vector<std::byte>& buffer, std::span<const int32_t> ids) {
  const size_t begin = buffer.size();
  buffer.resize(begin + ids.size() * sizeof(Id));
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto id = static_cast<Id>(ids[i]);
    std::memcpy(buffer.data() + begin + i * sizeof(Id), &id, sizeof(Id));
  }
}

template <class Id>
void read_ids(const std::byte* from, uint64_t count, std::vector<int32_t>& ids) {
  ids.resize(count);
  for (size_t i = 0; i < count; ++i) {
    Id id = 0;
    std::memcpy(&id, from + i * sizeof(Id), sizeof(Id));
    ids[i] = static_cast<int32_t>(id);
  }
}

}  // namespace

Buckets::Buckets(WorkFolder& work, int64_t bytes_per_id) : bytes_per_id_(bytes_per_id) {
  for (size_t i = 0; i < size_t{1} << kBucketBits; ++i) {
    buckets_.push_back(&work.spill(cat("bucket-", i), kBufferBytes));
  }
}

void Buckets::add(const PackedDocument& document) {
  const Record record = {.content = document.content,
                         .place = document.place,
                         .id_count = document.ids.size(),
                         .paragraph_count = static_cast<uint32_t>(document.paragraphs.size()),
                         .number = document.number,
                         .copy = document.copy};
  buckets_[document.place >> (64 - kBucketBits)]->append([&](std::vector<std::byte>& buffer) {
    append_bytes(buffer, std::span<const Record>(&record, 1));
    append_bytes(buffer, document.paragraphs);
    if (bytes_per_id_ == 2) {
      append_ids<uint16_t>(buffer, document.ids);
    } else {
      append_ids<uint32_t>(buffer, document.ids);
    }
  });
}

void Buckets::visit_bucket(SpillFile& bucket, const std::function<void(const PackedDocument&)>& visit) const {
  const util::MappedFile file = bucket.read();
  const auto width = static_cast<uint64_t>(bytes_per_id_);
  struct Entry {
    Record record;
    const std::byte* paragraphs;
    const std::byte* ids;
  };
  std::vector<Entry> entries;
  for (const std::byte* at = file.bytes().data(); at < file.bytes().data() + file.size();) {
    Entry entry{};
    std::memcpy(&entry.record, at, sizeof(Record));
    entry.paragraphs = at + sizeof(Record);
    entry.ids = entry.paragraphs + entry.record.paragraph_count * sizeof(Paragraph);
    at = entry.ids + entry.record.id_count * width;
    entries.push_back(entry);
  }
  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return std::tie(a.record.place, a.record.content) < std::tie(b.record.place, b.record.content);
  });
  std::vector<int32_t> ids;
  std::vector<Paragraph> paragraphs;
  for (const Entry& entry : entries) {
    if (width == 2) {
      read_ids<uint16_t>(entry.ids, entry.record.id_count, ids);
    } else {
      read_ids<uint32_t>(entry.ids, entry.record.id_count, ids);
    }
    paragraphs.resize(entry.record.paragraph_count);
    std::copy_n(entry.paragraphs, paragraphs.size() * sizeof(Paragraph),
                reinterpret_cast<std::byte*>(paragraphs.data()));
    visit({.content = entry.record.content,
           .place = entry.record.place,
           .number = entry.record.number,
           .copy = entry.record.copy,
           .ids = ids,
           .paragraphs = paragraphs});
  }
}

void Buckets::for_each_in_order(const std::function<void(const PackedDocument&)>& visit) {
  for (SpillFile* const bucket : buckets_) {
    visit_bucket(*bucket, visit);
  }
}

}  // namespace bertcram::data
