#pragma once

#include <unistd.h>

#include <array>
#include <string>

namespace bertcram::monitor {

/// As the machine calls itself; "localhost" if it does not say.
inline std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

}  // namespace bertcram::monitor
