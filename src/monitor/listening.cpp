#include "listening.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bertcram/util/error.h"

namespace bertcram::monitor {
namespace {

/// What is in the way of listening there: errno, 0 if nothing, -1 if the host has no address.
int obstacle(const std::string& host, int port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0 || found == nullptr) {
    return -1;
  }
  const int socket = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int error = socket < 0 ? errno : 0;
  if (socket >= 0) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    error = ::bind(socket, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
    ::close(socket);
  }
  ::freeaddrinfo(found);
  return error;
}

}  // namespace

void throw_listening_error(const std::string& host, int port) {
  constexpr int kLastPort = 65535;
  constexpr int kTried = 100;
  const int error = obstacle(host, port);
  // A kernel without IPv6 does not know the family of ::1.
  if (error == -1 || error == EADDRNOTAVAIL || error == EAFNOSUPPORT) {
    throw ConfigError(cat("--host ", host,
                          ": no address of this machine; 127.0.0.1 is this machine alone, 0.0.0.0 all its "
                          "addresses"));
  }
  std::string advice = "choose another with --port";
  if (error == EADDRINUSE) {
    for (int other = port + 1; other <= std::min(kLastPort, port + kTried); ++other) {
      if (obstacle(host, other) == 0) {
        advice = cat("--port ", other, " is free");
        break;
      }
    }
  } else if (error == EACCES) {
    advice = "ports below 1024 are for root; choose a higher one with --port";
  } else if (error == EMFILE || error == ENFILE) {
    advice = "raise the limit of open files (ulimit -n)";
  }
  throw ResourceError(cat("cannot listen at port ", port, " of ", host, ": ",
                          error == EADDRINUSE ? "it is in use" : std::strerror(error), "; ", advice));
}

}  // namespace bertcram::monitor
