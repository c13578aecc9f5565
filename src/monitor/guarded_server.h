#pragma once

#include <httplib.h>
#include <atomic>
#include <string>

#include "bertcram/util/stop.h"
#include "guarded_stream.h"

namespace bertcram::monitor {

/// httplib's server with connections that cannot be held up, of which there are only so many. It reads no bodies: a
/// connection whose request has one ends with the answer.
class GuardedServer : public httplib::Server {
 public:
  /// @param most_connections  one more is told to come back later
  GuardedServer(size_t most_connections, const StreamLimits& limits, const util::StopFlag& stop);

  /// @param port  0: a free one  @return the port  @throws ResourceError, ConfigError
  int bind(const std::string& host, int port);

 private:
  bool process_and_close_socket(socket_t socket) override;
  void serve_connection(GuardedStream& stream);

  const size_t most_connections_;
  const StreamLimits limits_;
  const util::StopFlag& stop_;
  std::atomic<size_t> connections_ = 0;
};

}  // namespace bertcram::monitor
