#pragma once

#include <algorithm>
#include <array>
#include <exception>
#include <new>
#include <string_view>

namespace bertcram::util {

/// LibTorch, oneDNN and the standard library report exhausted memory in several ways. oneDNN gives no reason when it
/// finds no memory for a kernel's code or scratch space: these are whole messages, since a longer one that begins alike
/// ("could not create a primitive descriptor …") says that an operation does not exist.
inline bool is_out_of_memory(const std::exception& error) {
  constexpr std::array<std::string_view, 4> kWords = {"out of memory", "can't allocate memory",
                                                      "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"};
  constexpr std::array<std::string_view, 3> kOfOneDnn = {
      "could not create a primitive", "could not execute a primitive", "could not create a memory object"};
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return true;
  }
  const std::string_view message = error.what();
  return std::find(kOfOneDnn.begin(), kOfOneDnn.end(), message) != kOfOneDnn.end() ||
         std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view words) { return message.find(words) != std::string_view::npos; });
}

}  // namespace bertcram::util
