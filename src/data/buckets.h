#pragma once
// Tokenised documents on disk between the two passes of packing, in files by their place in the final order.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "bertcram/util/hash.h"

namespace bertcram::data {

/// A tokenised document and the hash of its text.
struct PackedDocument {
  util::Hash128 content;
  uint64_t place = 0;  ///< sorts documents into their final order
  std::span<const int32_t> ids;
};

/// Appends documents to bucket files; `for_each_in_order` then gives them back in order of their place.
/// add() is thread-safe.
class Buckets {
 public:
  /// Bucket files are made in `directory` and removed with the object.
  Buckets(std::filesystem::path directory, int64_t bytes_per_id);
  ~Buckets();
  Buckets(const Buckets&) = delete;
  Buckets& operator=(const Buckets&) = delete;

  void add(const PackedDocument& document);
  /// Visits all documents by increasing (place, content). @throws ResourceError
  void for_each_in_order(const std::function<void(const PackedDocument&)>& visit);

 private:
  struct Bucket;
  void flush(Bucket& bucket);
  void visit_bucket(Bucket& bucket, const std::function<void(const PackedDocument&)>& visit) const;

  std::filesystem::path directory_;
  int64_t bytes_per_id_;
  std::vector<Bucket> buckets_;
};

}  // namespace bertcram::data
