#include "guarded_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <new>
#include <string_view>
#include <utility>

#include "listening.h"

namespace bertcram::monitor {
namespace {

/// Closing with unread bytes would reset the connection, and the peer might lose the answer: some of them are read first.
void close_politely(int socket) {
  constexpr int kMostChunks = 64;
  constexpr int kPatienceMilliseconds = 200;
  std::array<char, 16384> chunk{};
  ::shutdown(socket, SHUT_WR);
  pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
  for (int i = 0; i<kMostChunks&& ::poll(&waiting, 1, kPatienceMilliseconds)> 0; ++i) {
    if (::recv(socket, chunk.data(), chunk.size(), 0) <= 0) {
      break;
    }
  }
  ::close(socket);
}

/// httplib deletes the queue that it is given; the threads are the server's.
class LentThreads : public httplib::TaskQueue {
 public:
  explicit LentThreads(ConnectionThreads& threads) : threads_(threads) {}
  void enqueue(std::function<void()> work) override { threads_.enqueue(std::move(work)); }
  void shutdown() override { threads_.shutdown(); }

 private:
  ConnectionThreads& threads_;
};

}  // namespace

GuardedServer::GuardedServer(size_t most_connections, const StreamLimits& limits, const util::StopFlag& stop)
    : most_connections_(most_connections), limits_(limits), stop_(stop) {
  new_task_queue = [this] { return new LentThreads(*threads_); };
  // Not httplib's SO_REUSEPORT, with which two servers share a port.
  set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  set_tcp_nodelay(true);
  constexpr size_t kTold = 1000;  // to clients; connections end by time alone
  set_keep_alive_max_count(kTold);
}

int GuardedServer::bind(const std::string& host, int port) {
  const int bound = port == 0 ? bind_to_any_port(host) : bind_to_port(host, port) ? port : -1;
  if (bound < 0) {
    throw_listening_error(host, port);
  }
  constexpr size_t kForRefusals = 4;
  threads_.emplace(most_connections_ + kForRefusals);
  ::listen(svr_sock_, SOMAXCONN);  // httplib lets five wait, and drops others that come at the same moment
  return bound;
}

bool GuardedServer::process_and_close_socket(socket_t socket) {
  if (++connections_ > most_connections_) {
    constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    [[maybe_unused]] const ssize_t ignored = ::send(socket, kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  } else {
    GuardedStream stream(socket, limits_, stop_);
    try {
      serve_connection(stream);
    } catch (const std::bad_alloc&) {  // ends this connection; there may be memory for others
    }
  }
  close_politely(socket);
  --connections_;
  return true;
}

void GuardedServer::serve_connection(GuardedStream& stream) {
  bool is_last = false;
  while (!is_last && stream.wait_for_request()) {
    bool asked_to_close = false;
    bool is_whole = false;  // its header could be read, so that it is known where the next request begins
    bool has_body = false;
    const bool is_done =
        process_request(stream, /*close_connection=*/false, asked_to_close, [&](httplib::Request& request) {
          is_whole = true;
          has_body = request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
          // Ranges can ask for the same bytes many times; compressing costs more than a local connection saves.
          request.ranges.clear();
          request.headers.erase("Range");
          request.headers.erase("Accept-Encoding");
          request.headers.erase("Expect");
        });
    is_last = !is_done || !is_whole || asked_to_close || has_body || stream.is_broken();
  }
}

}  // namespace bertcram::monitor
