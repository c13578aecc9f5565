#include "bertcram/data/masking.h"

#include <algorithm>
#include <cmath>

#include "bertcram/util/error.h"

namespace bertcram::data {
namespace {

bool is_special(int32_t id, const MaskingOptions& options) {
  return std::ranges::find(options.special_ids, id) != options.special_ids.end();
}

int32_t random_ordinary_id(util::RandomStream& random, const MaskingOptions& options) {
  while (true) {
    const auto id = static_cast<int32_t>(random.below(static_cast<uint64_t>(options.vocab_size)));
    if (!is_special(id, options)) {
      return id;
    }
  }
}

}  // namespace

int64_t predictions_per_row(int64_t seq_len, const MaskingOptions& options) {
  return std::max<int64_t>(1, std::llround(options.mask_prob * static_cast<double>(seq_len)));
}

void mask_row(std::span<int32_t> ids, util::RandomStream random, const MaskingOptions& options,
              std::vector<int32_t>& positions, std::vector<int32_t>& targets) {
  std::vector<int32_t> ordinary;
  ordinary.reserve(ids.size());
  for (size_t position = 0; position < ids.size(); ++position) {
    if (!is_special(ids[position], options)) {
      ordinary.push_back(static_cast<int32_t>(position));
    }
  }
  const auto wanted = static_cast<size_t>(predictions_per_row(static_cast<int64_t>(ids.size()), options));
  const size_t count = std::min(wanted, ordinary.size());
  for (size_t i = 0; i < count; ++i) {  // the first steps of a Fisher-Yates shuffle
    std::swap(ordinary[i], ordinary[i + random.below(ordinary.size() - i)]);
  }
  ordinary.resize(count);
  std::ranges::sort(ordinary);
  for (const int32_t position : ordinary) {
    int32_t& id = ids[static_cast<size_t>(position)];
    positions.push_back(position);
    targets.push_back(id);
    const double choice = random.uniform();
    if (choice < options.mask_share) {
      id = options.mask_id;
    } else if (choice < options.mask_share + options.random_share) {
      id = random_ordinary_id(random, options);
    }
  }
}

}  // namespace bertcram::data
