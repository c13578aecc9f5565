#pragma once

#include <algorithm>
#include <array>
#include <exception>
#include <new>
#include <string_view>

namespace bertcram::util {

/// LibTorch, oneDNN and the standard library report exhausted memory in several ways. oneDNN gives no reason when it
/// finds no memory for a kernel's code or scratch space: these are whole messages, since a longer one that begins alike
/// ("could not create a primitive descriptor …") says that an operation does not exist. c10::Error puts its message together
/// when it is asked for, and has another whole one where there is no memory for that either. cuBLAS calls itself not
/// initialised where a GPU has no memory left for its handle.
inline bool is_out_of_memory(const std::exception& error) {
  constexpr std::array<std::string_view, 5> kWords = {"out of memory", "can't allocate memory",
                                                      "CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED",
                                                      "CUDNN_STATUS_ALLOC_FAILED"};
  constexpr std::array<std::string_view, 4> kWholeMessages = {
      "could not create a primitive", "could not execute a primitive", "could not create a memory object",
      "<Error computing Error::what()>"};
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return true;
  }
  const std::string_view message = error.what();
  return std::find(kWholeMessages.begin(), kWholeMessages.end(), message) != kWholeMessages.end() ||
         std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view words) { return message.find(words) != std::string_view::npos; });
}

}  // namespace bertcram::util
