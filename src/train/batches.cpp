#include "bertcram/train/batches.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "bertcram/util/error.h"
#include "bertcram/util/parallel.h"

namespace bertcram::train {
namespace {

template <class Number>
void require_finite(std::span<const Number> numbers, const char* what, const std::string& model) {
  if (!std::ranges::all_of(numbers, [](Number number) { return std::isfinite(number); })) {
    throw DataError(cat("--model ", model, ": its weights give ", what, " that are not numbers; is it damaged?"));
  }
}

}  // namespace

void require_numbers(std::span<const float> numbers, const char* what, const std::string& model) {
  require_finite(numbers, what, model);
}

void require_numbers(std::span<const double> numbers, const char* what, const std::string& model) {
  require_finite(numbers, what, model);
}

void for_each_batch(const Runtime& runtime, int64_t count, const std::function<void(int64_t)>& body) {
  const int64_t workers = runtime.device.is_cpu() ? std::min(runtime.threads, count) : std::min<int64_t>(1, count);
  const int threads_each = workers > 1 ? 1 : static_cast<int>(runtime.threads);
  std::atomic<int64_t> next = 0;
  util::WorkerGroup group;
  const auto restore = [&] { at::set_num_threads(static_cast<int>(runtime.threads)); };
  try {
    group.run(workers, [&](int64_t) {
      at::set_num_threads(threads_each);
      const c10::NoGradGuard no_gradients;
      for (int64_t i = next++; i < count && !group.failed(); i = next++) {
        body(i);
      }
    });
  } catch (...) {
    restore();
    throw;
  }
  restore();
}

}  // namespace bertcram::train
