#pragma once

#include <string>

namespace bertcram::monitor {

/// Throws the error of a port that cannot be listened at, with the reason and, if it is taken, a free one.
/// @throws ConfigError if the host is no address of this machine, otherwise ResourceError
[[noreturn]] void throw_listening_error(const std::string& host, int port);

}  // namespace bertcram::monitor
