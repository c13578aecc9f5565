#pragma once

#include <httplib.h>
#include <algorithm>
#include <atomic>
#include <optional>
#include <string>

#include "bertcram/util/stop.h"
#include "connection_threads.h"
#include "guarded_stream.h"

namespace bertcram::monitor {

/// httplib's server with connections that cannot be held up, of which there are only so many. It reads no bodies: a
/// connection whose request has one ends with the answer.
class GuardedServer : public httplib::Server {
 public:
  /// @param most_connections  one more is told to come back later
  GuardedServer(size_t most_connections, const StreamLimits& limits, const util::StopFlag& stop);

  /// Takes the port, and the first thread to answer with. @param port  0: a free one  @return the port
  /// @throws ResourceError, ConfigError
  int bind(const std::string& host, int port);

  /// How many connections can be served at once: fewer than `most_connections` where the machine gives fewer threads.
  /// REQUIRES: bind.
  size_t connections_at_once() const { return std::min(most_connections_, threads_->most()); }

 private:
  bool process_and_close_socket(socket_t socket) override;
  void serve_connection(GuardedStream& stream);

  const size_t most_connections_;
  const StreamLimits limits_;
  const util::StopFlag& stop_;
  std::atomic<size_t> connections_ = 0;
  std::optional<ConnectionThreads> threads_;  ///< last: they use the others
};

}  // namespace bertcram::monitor
