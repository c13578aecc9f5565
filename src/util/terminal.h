#pragma once
// Drawing again what stands on the terminal behind stderr.

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace bertcram::util {

/// Away with what was drawn, at whose beginning the cursor waits.
constexpr const char* kClear = "\r\033[J";

/// Whether stderr is a terminal that understands kClear.
inline bool can_redraw_stderr() {
  const char* const kind = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && kind != nullptr && *kind != '\0' && std::string_view(kind) != "dumb";
}

}  // namespace bertcram::util
