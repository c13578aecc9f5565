#include "buckets.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"

namespace bertcram::data {
namespace {

// 64 buckets: 20 GB of text are about 4 billion tokens or 8 GB, hence some 130 MB to sort at a time.
constexpr unsigned kBucketBits = 6;
constexpr size_t kBufferBytes = size_t{1} << 18;

/// Precedes each document's ids in a bucket file.
struct Record {
  util::Hash128 content;
  uint64_t place = 0;
  uint64_t id_count = 0;
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

struct Buckets::Bucket {
  std::filesystem::path path;
  int descriptor = -1;
  std::vector<std::byte> buffer;
  std::unique_ptr<std::mutex> mutex = std::make_unique<std::mutex>();
};

Buckets::Buckets(std::filesystem::path directory, int64_t bytes_per_id)
    : directory_(std::move(directory)), bytes_per_id_(bytes_per_id), buckets_(size_t{1} << kBucketBits) {
  for (size_t i = 0; i < buckets_.size(); ++i) {
    Bucket& bucket = buckets_[i];
    bucket.path = directory_ / cat("bucket-", i);
    bucket.descriptor = ::open(bucket.path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (bucket.descriptor < 0) {
      util::throw_write_error(bucket.path, errno);
    }
  }
}

Buckets::~Buckets() {
  for (const Bucket& bucket : buckets_) {
    if (bucket.descriptor >= 0) {
      ::close(bucket.descriptor);
      ::unlink(bucket.path.c_str());
    }
  }
}

void Buckets::add(const PackedDocument& document) {
  Bucket& bucket = buckets_[document.place >> (64 - kBucketBits)];
  const Record record{document.content, document.place, document.ids.size()};
  const std::lock_guard lock(*bucket.mutex);
  const auto header = std::as_bytes(std::span(&record, 1));
  bucket.buffer.insert(bucket.buffer.end(), header.begin(), header.end());
  if (bytes_per_id_ == 2) {
    append_ids<uint16_t>(bucket.buffer, document.ids);
  } else {
    append_ids<uint32_t>(bucket.buffer, document.ids);
  }
  if (bucket.buffer.size() >= kBufferBytes) {
    flush(bucket);
  }
}

void Buckets::flush(Bucket& bucket) {
  if (const int error_number = util::write_fully(bucket.descriptor, bucket.buffer); error_number != 0) {
    util::throw_write_error(bucket.path, error_number);
  }
  bucket.buffer.clear();
}

void Buckets::visit_bucket(Bucket& bucket, const std::function<void(const PackedDocument&)>& visit) const {
  const util::MappedFile file(bucket.path);
  const auto width = static_cast<uint64_t>(bytes_per_id_);
  struct Entry {
    Record record;
    const std::byte* ids;
  };
  std::vector<Entry> entries;
  for (const std::byte* at = file.bytes().data(); at < file.bytes().data() + file.size();) {
    Entry entry{};
    std::memcpy(&entry.record, at, sizeof(Record));
    entry.ids = at + sizeof(Record);
    at = entry.ids + entry.record.id_count * width;
    entries.push_back(entry);
  }
  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return std::tie(a.record.place, a.record.content) < std::tie(b.record.place, b.record.content);
  });
  std::vector<int32_t> ids;
  for (const Entry& entry : entries) {
    if (width == 2) {
      read_ids<uint16_t>(entry.ids, entry.record.id_count, ids);
    } else {
      read_ids<uint32_t>(entry.ids, entry.record.id_count, ids);
    }
    visit({.content = entry.record.content, .place = entry.record.place, .ids = ids});
  }
}

void Buckets::for_each_in_order(const std::function<void(const PackedDocument&)>& visit) {
  for (Bucket& bucket : buckets_) {
    flush(bucket);
    visit_bucket(bucket, visit);
    ::close(bucket.descriptor);
    bucket.descriptor = -1;
    ::unlink(bucket.path.c_str());
  }
}

}  // namespace bertcram::data
