#pragma once
// Documents that share most of their text, found without comparing all with all (Broder 1997; Indyk & Motwani 1998).

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "bertcram/util/stop.h"
#include "work_folder.h"

namespace bertcram::data {

/// The smallest hash of a text's runs of five words in each of 128 parts of the hash's range; an empty part borrows from
/// another (Shrivastava 2017). Two texts agree in a part with about the probability that is their Jaccard similarity.
using MinHashSignature = std::array<uint64_t, 128>;
/// @return nullopt for a text without words
std::optional<MinHashSignature> min_hash(std::span<const uint64_t> words);

/// A signature cut into `count` bands of `rows` parts: texts that agree in a whole band are taken for near-duplicates.
struct Bands {
  int64_t count = 0;
  int64_t rows = 0;
};
/// The cut with the fewest expected errors on both sides of a similarity in (0, 1], over similarities spread evenly.
Bands bands_for(double similarity);

/// Clusters documents by shared bands, and keeps of each cluster the document with the smallest place: the result does
/// not depend on the order of calls. Holds 12 bytes per document, and while link() sorts a band 16 more, twice for a moment
/// (mapped and copied); everything else is on disk.
class NearDuplicates {
 public:
  /// Goes on from the documents that the work folder knows.
  NearDuplicates(WorkFolder& work, double similarity);

  /// Thread-safe. @return the document's number, for is_kept()
  uint32_t add(std::span<const uint64_t> words, uint64_t place);
  /// After the last add(). @throws util::StoppedError, ResourceError
  void link(const util::StopFlag& stop);
  bool is_kept(uint32_t document) const;

 private:
  struct Entry {
    uint64_t key;
    uint64_t document;
  };
  uint32_t root_of(uint32_t document) const;
  void unite(uint32_t a, uint32_t b);

  Bands bands_;
  std::vector<SpillFile*> files_;  ///< one per band: (hash of the band, document)
  SpillFile& places_file_;         ///< what places_ holds
  std::mutex mutex_;
  std::deque<uint64_t> places_;
  mutable std::vector<uint32_t> parents_;
};

}  // namespace bertcram::data
