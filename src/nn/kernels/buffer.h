#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace bertcram::nn::kernels {

/// Numbers on cache lines of their own, zero at first: what pads rows and columns has to be finite.
template <class Number>
class Buffer {
 public:
  explicit Buffer(int64_t count) {
    constexpr size_t kLine = 64;
    const size_t bytes = (static_cast<size_t>(count) * sizeof(Number) + kLine - 1) / kLine * kLine;
    numbers_.reset(static_cast<Number*>(std::aligned_alloc(kLine, bytes)));
    if (!numbers_) {
      throw std::bad_alloc();
    }
    std::fill_n(numbers_.get(), count, Number{0});
  }
  Number* get() const { return numbers_.get(); }

 private:
  struct Free {
    void operator()(Number* numbers) const { std::free(numbers); }
  };
  std::unique_ptr<Number[], Free> numbers_;
};

}  // namespace bertcram::nn::kernels
