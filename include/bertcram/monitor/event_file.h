#pragma once
// TensorBoard event files: what metrics.jsonl holds, for tensorboard. The format is TFRecord around the protobuf messages
// Event and Summary (tensorboard/compat/proto), written here by hand: a few small messages need no library.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace bertcram::monitor {

/// Numbers by size: `counts[i]` of them lie in (limits[i - 1], limits[i]].
struct Histogram {
  double smallest = 0;
  double largest = 0;
  double count = 0;
  double sum = 0;
  double sum_of_squares = 0;
  std::vector<double> limits = {};
  std::vector<double> counts = {};

  /// Adds numbers that were counted with the same limits.
  void add(const Histogram& other);
};

/// One session's event file. Nothing that goes wrong with it ends a run: a file that cannot be written is warned of once,
/// and given up; metrics.jsonl is the source of truth.
class EventFile {
 public:
  /// A new `events.out.tfevents.*` in the folder.
  /// @param first_step  that this session takes; what readers have of it and later ones, of a session that was killed, is
  /// void
  EventFile(const std::filesystem::path& folder, int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// A line of metrics.jsonl: every number as a scalar, `train/loss` of the key `loss`, `eval/loss` of `eval_loss`, by the
  /// line's `step`. Passed over are lines without a step, those of an `event` (a start), and
  /// numbers that are null.
  void scalars(const nlohmann::json& line);
  /// @param markdown  as tensorboard's text tab shows it
  void text(const std::string& tag, int64_t step, const std::string& markdown);
  void histogram(const std::string& tag, int64_t step, const Histogram& histogram);
  /// The run goes on from here: what was said of this step and later ones is void.
  void restart(int64_t step);

  const std::filesystem::path& path() const { return path_; }

 private:
  void record(const std::string& event);
  void give_up(int error_number);

  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// CRC-32C (Castagnoli), as TFRecord masks it. @return of the bytes, before masking
uint32_t crc32c(std::span<const char> bytes);

/// `train/loss` of `loss`; of a line that is an evaluation `eval/loss` of `eval_loss`, `eval/tokens` of `tokens`.
std::string scalar_tag(const std::string& key, bool is_evaluation);

}  // namespace bertcram::monitor
