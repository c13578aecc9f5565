#pragma once

#include <new>
#include <string_view>

namespace bertcram::util {

/// LibTorch and the standard library report exhausted memory in several ways.
inline bool is_out_of_memory(const std::exception& error) {
  const std::string_view message = error.what();
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         message.find("out of memory") != std::string_view::npos ||
         message.find("can't allocate memory") != std::string_view::npos;
}

}  // namespace bertcram::util
