#include "micro_batch.h"

#include <ATen/DeviceAccelerator.h>

#include <algorithm>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "cpu_allocator.h"

namespace bertcram::train {

std::optional<int64_t> fastest_rows_per_pass(int64_t most,
                                             const std::function<std::optional<double>(int64_t)>& seconds_of) {
  constexpr int64_t kFirst = 8;
  constexpr double kWorthIt = 1.02;  // less is noise, and larger passes cost memory
  constexpr int kPatience = 2;
  std::optional<int64_t> best;
  double best_rate = 0;
  int in_vain = 0;
  int64_t rows = std::min(kFirst, most);
  while (true) {
    const auto seconds = seconds_of(rows);
    if (!seconds && (best || rows == 1)) {
      return best;
    }
    if (!seconds) {  // not even the first: fewer then
      rows /= 2;
      continue;
    }
    const double rate = static_cast<double>(rows) / *seconds;
    if (rate > kWorthIt * best_rate) {
      best = rows;
      best_rate = rate;
      in_vain = 0;
    } else if (++in_vain == kPatience) {
      return best;
    }
    if (rows == most || rows < std::min(kFirst, most)) {  // the end; or a size from which there is no way up
      return best;
    }
    rows = std::min(2 * rows, most);
  }
}

void give_back_memory(at::Device device) {
  if (device.is_cpu()) {
    give_back_freed_memory();
  } else {
    at::accelerator::emptyCache();
  }
}

void clear_attempt(nn::Parameters& parameters) {
  parameters.zero_gradients();
  give_back_memory(parameters.device());
}

bool make_smaller(checkpoint::Passes& passes, int64_t first_rows, const Place& where) {
  if (passes.rows > 1) {
    passes.rows = (passes.rows + 1) / 2;
  } else if (!passes.recomputes) {
    passes = {.rows = first_rows, .recomputes = true};
  } else {
    util::log_warning(where.command, cat("out of memory at ", where.step, " in passes of a single row, too"));
    return false;
  }
  util::log_warning(where.command,
                    cat("out of memory at ", where.step, ": going on with this step in passes of ", passes.rows,
                        " rows", passes.recomputes ? ", activations computed again when needed" : ""));
  return true;
}

void note_smaller(int64_t rows, const Place& where) {
  util::log_warning(where.command, cat("out of memory at ", where.step, ": going on with ", rows, " at a time"));
}

}  // namespace bertcram::train
