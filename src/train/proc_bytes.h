#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace bertcram::train {

/// A line of a file in /proc such as status or meminfo, in bytes; 0 if it is not there.
/// @param label  with its colon; behind it stands a number of kB
inline int64_t proc_bytes(const char* file, std::string_view label) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(label)) {
      return 1024 * std::strtoll(line.c_str() + label.size(), nullptr, 10);
    }
  }
  return 0;
}

}  // namespace bertcram::train
