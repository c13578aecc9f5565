#pragma once
// Tokenised documents on disk between the two passes of packing, in files by their place in the final order.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bertcram/util/hash.h"
#include "work_folder.h"

namespace bertcram::data {

/// A line of a document that holds more than white space, and the white space before it.
struct Paragraph {
  uint64_t content = 0;  ///< hash of its text; 0 = too short to be told from others
  uint64_t end = 0;      ///< one past its last token in the document
};

/// A tokenised document and the hash of its text.
struct PackedDocument {
  util::Hash128 content;
  uint64_t place = 0;   ///< sorts documents into their final order
  uint32_t number = 0;  ///< among those that NearDuplicates knows
  uint32_t copy = 0;    ///< 0 is the document, 1, 2, … are repetitions that the weight of its source asks for
  std::span<const int32_t> ids;
  std::span<const Paragraph> paragraphs;  ///< empty where they do not matter; ids behind the last: white space
};

/// Appends documents to bucket files; `for_each_in_order` then gives them back in order of their place.
/// add() is thread-safe.
class Buckets {
 public:
  Buckets(WorkFolder& work, int64_t bytes_per_id);

  void add(const PackedDocument& document);
  /// Visits all documents by increasing (place, content). @throws ResourceError
  void for_each_in_order(const std::function<void(const PackedDocument&)>& visit);

 private:
  void visit_bucket(SpillFile& bucket, const std::function<void(const PackedDocument&)>& visit) const;

  int64_t bytes_per_id_;
  std::vector<SpillFile*> buckets_;  ///< of the work folder
};

}  // namespace bertcram::data
