#include "near_duplicates.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "bertcram/util/error.h"
#include "bertcram/util/random.h"
#include "stop_messages.h"
#include "word_runs.h"

namespace bertcram::data {
namespace {

constexpr size_t kShingleWords = 5;
constexpr uint64_t kEmpty = std::numeric_limits<uint64_t>::max();
constexpr size_t kParts = std::tuple_size_v<MinHashSignature>;
constexpr int kPartBits = std::countr_zero(kParts);
constexpr size_t kBufferBytes = size_t{1} << 16;

/// Fills each empty part from one that is not; which one depends on the part alone, so that equal texts borrow equally.
void densify(MinHashSignature& signature) {
  const MinHashSignature sparse = signature;
  for (size_t part = 0; part < kParts; ++part) {
    for (uint64_t attempt = 0; signature[part] == kEmpty; ++attempt) {
      signature[part] = sparse[util::mix_key({part, attempt}) >> (64 - kPartBits)];
    }
  }
}

/// Probability that two texts of this similarity agree in at least one band.
double chance_of_meeting(double similarity, const Bands& bands) {
  return 1.0 - std::pow(1.0 - std::pow(similarity, bands.rows), bands.count);
}

/// Missed pairs above the similarity plus accused ones below it, by the midpoint rule.
double expected_errors(double similarity, const Bands& bands) {
  constexpr int kPoints = 200;
  double errors = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double at = (i + 0.5) / kPoints;
    const double chance = chance_of_meeting(at, bands);
    errors += at < similarity ? chance : 1.0 - chance;
  }
  return errors / kPoints;
}

}  // namespace

std::optional<MinHashSignature> min_hash(std::span<const uint64_t> words) {
  if (words.empty()) {
    return std::nullopt;
  }
  MinHashSignature signature;
  signature.fill(kEmpty);
  for_each_run(words, kShingleWords, [&](uint64_t run) {
    uint64_t& smallest = signature[run >> (64 - kPartBits)];
    smallest = std::min(smallest, run);
  });
  densify(signature);
  return signature;
}

Bands bands_for(double similarity) {
  Bands best;
  double fewest = std::numeric_limits<double>::infinity();
  for (int64_t rows = 1; rows <= static_cast<int64_t>(kParts); ++rows) {
    for (int64_t count = 1; count * rows <= static_cast<int64_t>(kParts); ++count) {
      const double errors = expected_errors(similarity, {.count = count, .rows = rows});
      if (errors < fewest) {
        fewest = errors;
        best = {.count = count, .rows = rows};
      }
    }
  }
  return best;
}

NearDuplicates::NearDuplicates(WorkFolder& work, double similarity)
    : bands_(bands_for(similarity)), places_file_(work.spill("places", kBufferBytes)) {
  for (int64_t band = 0; band < bands_.count; ++band) {
    files_.push_back(&work.spill(cat("band-", band), kBufferBytes));
  }
  const util::MappedFile known = places_file_.read();
  places_.resize(known.size() / sizeof(uint64_t));
  for (size_t i = 0; i < places_.size(); ++i) {
    std::memcpy(&places_[i], known.bytes().data() + i * sizeof(uint64_t), sizeof(uint64_t));
  }
}

uint32_t NearDuplicates::add(std::span<const uint64_t> words, uint64_t place) {
  uint32_t document = 0;
  {
    const std::lock_guard lock(mutex_);
    if (places_.size() == std::numeric_limits<uint32_t>::max()) {
      throw ResourceError("pack: more than 4 billion documents; leave out --near-duplicates");
    }
    document = static_cast<uint32_t>(places_.size());
    places_.push_back(place);
    places_file_.append(
        [&](std::vector<std::byte>& buffer) { append_bytes(buffer, std::span<const uint64_t>(&place, 1)); });
  }
  if (const auto signature = min_hash(words)) {
    for (size_t band = 0; band < files_.size(); ++band) {
      uint64_t key = 0;
      for (int64_t row = 0; row < bands_.rows; ++row) {
        key = util::mix64(key ^ (*signature)[band * static_cast<size_t>(bands_.rows) + static_cast<size_t>(row)]);
      }
      const Entry entry = {.key = key, .document = document};
      files_[band]->append(
          [&](std::vector<std::byte>& buffer) { append_bytes(buffer, std::span<const Entry>(&entry, 1)); });
    }
  }
  return document;
}

void NearDuplicates::link(const util::StopFlag& stop) {
  parents_.resize(places_.size());
  std::iota(parents_.begin(), parents_.end(), 0U);
  for (SpillFile* const file : files_) {
    util::throw_if_stopped(stop, kPackStopped);
    std::vector<Entry> entries;
    {
      const util::MappedFile bytes = file->read();
      entries.resize(bytes.size() / sizeof(Entry));
      std::memcpy(entries.data(), bytes.bytes().data(), bytes.size());
    }
    std::ranges::sort(entries, {}, &Entry::key);
    for (size_t i = 1; i < entries.size(); ++i) {
      if (entries[i].key == entries[i - 1].key) {
        unite(static_cast<uint32_t>(entries[i - 1].document), static_cast<uint32_t>(entries[i].document));
      }
    }
  }
}

uint32_t NearDuplicates::root_of(uint32_t document) const {
  while (parents_[document] != document) {
    parents_[document] = parents_[parents_[document]];  // halves the path for the next time
    document = parents_[document];
  }
  return document;
}

/// The root of a cluster is its document with the smallest place.
void NearDuplicates::unite(uint32_t a, uint32_t b) {
  a = root_of(a);
  b = root_of(b);
  if (places_[a] < places_[b]) {
    parents_[b] = a;
  } else {
    parents_[a] = b;
  }
}

bool NearDuplicates::is_kept(uint32_t document) const {
  return places_[root_of(document)] == places_[document];  // exact duplicates have equal places
}

}  // namespace bertcram::data
