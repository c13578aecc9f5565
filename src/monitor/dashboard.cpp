#include "bertcram/monitor/dashboard.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <thread>

#include "access.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "dashboard_api.h"
#include "guarded_server.h"

namespace bertcram::monitor {
namespace {

using httplib::Request;
using httplib::Response;
using namespace std::chrono_literals;

// A person has a few pages open, each with a stream and connections that stay for 5 s; a thread waits for each.
constexpr size_t kMostConnections = 250;
constexpr size_t kMostStreams = 120;
constexpr auto kLookEvery = 1s;
constexpr auto kStillThereEvery = 15s;  // so that proxies and viewers know

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// What each answer says of itself. Scripts and styles are the page's own files; text of runs can be neither.
const httplib::Headers& headers_of_all() {
  static const httplib::Headers kHeaders = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
       "form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Cache-Control", "no-store"}};
  return kHeaders;
}

void send(Response& response, const ApiAnswer& answer) {
  response.status = answer.status;
  response.set_content(answer.body, answer.type);
}

class Dashboard {
 public:
  Dashboard(const DashboardOptions& options, std::string token, const util::StopFlag& stop)
      : store_(options.runs, unix_time),
        token_(std::move(token)),
        checks_host_(token_.empty() && is_loopback(options.host)),
        stop_(stop),
        server_(kMostConnections, StreamLimits(), stop) {
    server_.set_default_headers(headers_of_all());
    server_.set_pre_routing_handler([this](const Request& request, Response& response) {
      route(request, response);
      return httplib::Server::HandlerResponse::Handled;
    });
    server_.set_exception_handler([](const Request&, Response& response, std::exception_ptr error) {
      try {
        std::rethrow_exception(std::move(error));
      } catch (const std::exception& known) {
        util::log_warning("serve", known.what());
      }
      send(response, error_answer(500, "this could not be answered; the server's log says why"));
    });
    server_.set_error_handler([](const Request&, Response& response) {
      if (response.body.empty()) {
        const int status = response.status;
        send(response, error_answer(status, "bad request"));
      }
    });
    store_.refresh();
  }

  /// From here on it can be stopped and has a thread to answer with. @return the port  @throws ResourceError, ConfigError
  int bind(const std::string& host, int port) {
    const int bound = server_.bind(host, port);
    try {
      watcher_ = std::jthread([this](const std::stop_token& has_ended) { watch(has_ended); });
    } catch (const std::system_error& error) {
      throw ResourceError(cat("cannot start a thread: ", error.what(),
                              "; raise the limits of processes and memory (ulimit -u, ulimit -v)"));
    }
    return bound;
  }

  /// Reads the runs that are likely to be looked at first, for at most as long as somebody waits gladly; what is left is read beside
  /// the answers.
  void read_ahead() {
    constexpr auto kPatience = 2s;
    try {
      reading_ = std::async(std::launch::async, [this] {
        try {
          store_.read_ahead(stop_);
        } catch (const std::exception& error) {  // who opens the run is told
          util::log_warning("serve", error.what());
        }
      });
    } catch (const std::system_error&) {  // no thread for it: runs are read when they are opened
      return;
    }
    reading_.wait_for(kPatience);
  }

  /// Answers until told to stop. REQUIRES: bind.
  void run() {
    server_.listen_after_bind();
    watcher_.request_stop();
    watcher_.join();
  }

 private:
  void watch(const std::stop_token& has_ended) {
    while (!has_ended.stop_requested() && !(stop_.requested() && server_.is_running())) {
      std::this_thread::sleep_for(50ms);
    }
    if (!has_ended.stop_requested()) {
      wake_streams();
      server_.stop();
    }
  }

  void route(const Request& request, Response& response) {
    if (request.method != "GET" && request.method != "HEAD") {
      response.set_header("Allow", "GET, HEAD");
      send(response, error_answer(405, "only GET and HEAD: nothing here can be changed"));
      return;
    }
    if (checks_host_ && !names_loopback(request.get_header_value("Host"))) {
      send(response, error_answer(403,
                                  "asked for by another name than localhost or 127.0.0.1; to reach it from elsewhere "
                                  "start it with --token-file"));
      return;
    }
    if (!token_.empty() && !is_page(request.path) &&
        !is_authorized(request.get_header_value("Authorization"), token_)) {
      response.set_header("WWW-Authenticate", "Bearer");
      send(response, error_answer(401,
                                  "a token is needed: 'Authorization: Bearer TOKEN', or http://…/#token=TOKEN in a "
                                  "browser"));
      return;
    }
    if (request.path == "/api/events") {
      stream(response);
      return;
    }
    send(response, answer(store_, {.path = request.path, .parameters = request.params}));
  }

  /// Server-sent events: what is new in the list of runs, at most once a second.
  void stream(Response& response) {
    // Released with the response, whether or not a stream came of it.
    const auto place = std::shared_ptr<void>(nullptr, [this](void*) { --streams_; });
    const size_t most = std::min(kMostStreams, server_.connections_at_once() / 2);  // the others answer
    if (++streams_ > most) {
      response.set_header("Retry-After", "10");
      send(response, error_answer(503, "too many pages are open"));
      return;
    }
    response.set_header("X-Accel-Buffering", "no");
    response.set_chunked_content_provider(
        "text/event-stream", [this, place, version = int64_t{0}](size_t offset, httplib::DataSink& sink) mutable {
          return next_event(offset > 0, version, sink);
        });
  }

  /// @return whether the stream goes on
  bool next_event(bool waits, int64_t& version, httplib::DataSink& sink) {
    const auto start = std::chrono::steady_clock::now();
    auto look_at = start + (waits ? kLookEvery : 0s);
    for (;;) {
      if (!sleep_until(look_at) || !sink.is_writable()) {
        return false;
      }
      store_.refresh();
      const auto event = store_.event(version);
      if (!waits || event->has_news) {
        version = event->version;
        return sink.write(event->text.data(), event->text.size());
      }
      if (std::chrono::steady_clock::now() - start >= kStillThereEvery) {
        constexpr std::string_view kComment = ": still there\n\n";
        return sink.write(kComment.data(), kComment.size());
      }
      look_at += kLookEvery;
    }
  }

  /// One look a second is all that a page that is open costs; what trains beside it waits for each of its threads.
  /// @return false if told to stop
  bool sleep_until(std::chrono::steady_clock::time_point time) {
    std::unique_lock lock(sleep_mutex_);
    return !wake_.wait_until(lock, time, [this] { return stop_.requested(); });
  }
  void wake_streams() {
    const std::lock_guard lock(sleep_mutex_);
    wake_.notify_all();
  }

  RunStore store_;
  const std::string token_;
  const bool checks_host_;
  const util::StopFlag& stop_;
  std::atomic<size_t> streams_ = 0;
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  std::future<void> reading_;
  GuardedServer server_;  // behind all that its threads use
  std::jthread watcher_;
};

}  // namespace

void serve_dashboard(const DashboardOptions& options, const util::StopFlag& stop,
                     const std::function<void(const std::string& url)>& announce) {
  if (!is_loopback(options.host) && options.token_file.empty() && !options.is_insecure) {
    throw ConfigError(cat("--host ", options.host,
                          ": others could look in; give a file with a token (openssl rand -hex 24 "
                          "> token, --token-file token), or --insecure if everybody there may"));
  }
  Dashboard dashboard(options, options.token_file.empty() ? std::string() : read_token(options.token_file), stop);
  const int port = dashboard.bind(options.host, options.port);
  const bool is_ipv6 = options.host.find(':') != std::string::npos;
  dashboard.read_ahead();
  announce(cat("http://", is_ipv6 ? "[" : "", options.host, is_ipv6 ? "]" : "", ":", port, "/"));
  dashboard.run();
  if (!stop.requested()) {
    throw ResourceError(
        cat("port ", port, " of ", options.host, " does not take connections any more; start it again"));
  }
  throw util::StoppedError(stop, "stopped");
}

}  // namespace bertcram::monitor

extern "C" decltype(&bertcram::monitor::serve_dashboard) bertcram_serve_dashboard() {
  return bertcram::monitor::serve_dashboard;
}
