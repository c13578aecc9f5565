#include "bertcram/data/cooccurrence.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "bertcram/util/error.h"
#include "bertcram/util/parallel.h"

namespace bertcram::data {
namespace {

constexpr double kContextSmoothing = 0.75;
constexpr int32_t kNoContext = -1;
constexpr int64_t kRowsBetweenStops = 4'096;

bool has_role(int32_t id, const text::SpecialTokens& special) {
  return id == special.pad || id == special.unk || id == special.cls || id == special.sep || id == special.mask;
}

/// The most frequent tokens that occur at all and have no role; ties by id.
std::vector<int32_t> frequent_tokens(std::span<const uint64_t> counts, const text::SpecialTokens& special,
                                     int64_t most) {
  std::vector<int32_t> ids(counts.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::erase_if(ids, [&](int32_t id) { return counts[static_cast<size_t>(id)] == 0 || has_role(id, special); });
  std::ranges::stable_sort(ids, std::greater<>(), [&](int32_t id) { return counts[static_cast<size_t>(id)]; });
  ids.resize(std::min(ids.size(), static_cast<size_t>(most)));
  return ids;
}

/// Counts the neighbours of the tokens that one worker owns: no two workers write to the same row.
class NeighbourCounter {
 public:
  NeighbourCounter(Cooccurrences& result, std::span<const int32_t> columns, const text::SpecialTokens& special,
                   int64_t worker, int64_t workers)
      : result_(result), columns_(columns), special_(special), worker_(worker), workers_(workers) {}

  void add(std::span<const int32_t> ids) {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] % workers_ == worker_ && !has_role(ids[i], special_)) {
        add_neighbours(ids, i);
      }
    }
  }

 private:
  void add_neighbours(std::span<const int32_t> ids, size_t center) {
    uint32_t* row = result_.weights.data() + static_cast<size_t>(ids[center]) * result_.contexts.size();
    for (size_t i = center, distance = 1; distance <= kCooccurrenceWindow && i-- > 0; ++distance) {
      if (ids[i] == special_.sep) {
        break;
      }
      add_pair(row, ids[i], distance);
    }
    for (size_t i = center + 1, distance = 1; distance <= kCooccurrenceWindow && i < ids.size(); ++i, ++distance) {
      if (ids[i] == special_.sep) {
        break;
      }
      add_pair(row, ids[i], distance);
    }
  }

  void add_pair(uint32_t* row, int32_t neighbour, size_t distance) {
    const int32_t column = columns_[static_cast<size_t>(neighbour)];
    if (column != kNoContext) {
      row[column] += kCooccurrenceUnit / static_cast<uint32_t>(distance);
    }
  }

  Cooccurrences& result_;
  std::span<const int32_t> columns_;
  const text::SpecialTokens& special_;
  int64_t worker_;
  int64_t workers_;
};

}  // namespace

Cooccurrences count_cooccurrences(const RowStore& rows, std::span<const uint64_t> token_counts,
                                  const text::SpecialTokens& special, const CooccurrenceOptions& options,
                                  const util::StopFlag& stop) {
  const auto vocab = static_cast<int64_t>(token_counts.size());
  const int64_t used_rows = std::min(rows.rows(), options.max_tokens / rows.seq_len());
  Cooccurrences result = {
      .vocab = vocab,
      .contexts = frequent_tokens(token_counts, special, std::min(options.max_contexts, options.max_cells / vocab)),
      .tokens = used_rows * rows.seq_len()};
  result.weights.resize(static_cast<size_t>(vocab) * result.contexts.size());
  std::vector<int32_t> columns(token_counts.size(), kNoContext);
  for (size_t i = 0; i < result.contexts.size(); ++i) {
    columns[static_cast<size_t>(result.contexts[i])] = static_cast<int32_t>(i);
  }
  util::WorkerGroup group;
  group.run(options.threads, [&](int64_t worker) {
    NeighbourCounter counter(result, columns, special, worker, options.threads);
    std::vector<int32_t> ids(static_cast<size_t>(rows.seq_len()));
    for (int64_t i = 0; i < used_rows; ++i) {
      if (i % kRowsBetweenStops == 0 && (stop.requested() || group.failed())) {
        return;
      }
      rows.read_row(i * rows.rows() / used_rows, ids);
      counter.add(ids);
    }
  });
  util::throw_if_stopped(stop, "stopped while counting which tokens stand near which; nothing was trained yet");
  return result;
}

std::vector<float> positive_pmi(const Cooccurrences& counts, int64_t threads) {
  const size_t width = counts.contexts.size();
  std::vector<double> context_share(width);
  for (int64_t id = 0; id < counts.vocab; ++id) {
    std::ranges::transform(context_share, counts.row(id), context_share.begin(), std::plus<>());
  }
  std::ranges::transform(context_share, context_share.begin(),
                         [](double weight) { return std::pow(weight, kContextSmoothing); });
  const double total = std::accumulate(context_share.begin(), context_share.end(), 0.0);
  std::ranges::transform(context_share, context_share.begin(), [&](double weight) { return weight / total; });

  std::vector<float> information(counts.weights.size());
  util::WorkerGroup().run(threads, [&](int64_t worker) {
    for (int64_t id = worker; id < counts.vocab; id += threads) {
      const auto row = counts.row(id);
      const double of_token = std::accumulate(row.begin(), row.end(), 0.0);
      float* out = information.data() + static_cast<size_t>(id) * width;
      for (size_t i = 0; i < width; ++i) {
        if (row[i] > 0) {
          out[i] = std::max(0.0F, std::log(static_cast<float>(row[i] / (of_token * context_share[i]))));
        }
      }
    }
  });
  return information;
}

}  // namespace bertcram::data
