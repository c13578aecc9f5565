#pragma once

#include <array>
#include <exception>
#include <new>
#include <string_view>

namespace bertcram::util {

/// LibTorch and the standard library report exhausted memory in several ways.
inline bool is_out_of_memory(const std::exception& error) {
  constexpr std::array<std::string_view, 4> kWords = {"out of memory", "can't allocate memory",
                                                      "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"};
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return true;
  }
  const std::string_view message = error.what();
  for (const std::string_view words : kWords) {
    if (message.find(words) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace bertcram::util
