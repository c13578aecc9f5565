#include "line_chunks.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::cli {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;

bool is_readable_now() {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return ::poll(&input, 1, 0) > 0;
}

}  // namespace

/// Waits for input and appends it to pending_; false at its end.
bool LineChunks::read_more() {
  while (true) {
    if (!util::wait_readable(STDIN_FILENO, stop_)) {
      throw util::StoppedError(stop_, command_ + ": stopped");
    }
    const size_t before = pending_.size();
    pending_.resize(before + kReadBytes);
    const ssize_t count = ::read(STDIN_FILENO, pending_.data() + before, kReadBytes);
    const int error_number = errno;
    pending_.resize(before + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count >= 0) {
      return count > 0;
    }
    if (error_number != EINTR) {
      throw DataError(cat("cannot read standard input: ", std::strerror(error_number)));
    }
  }
}

std::string LineChunks::next() {
  size_t whole = 0;  // bytes of pending_ up to the last line end
  while (!is_over_ && (whole == 0 || (pending_.size() < most_bytes_ && is_readable_now()))) {
    const size_t before = pending_.size();
    is_over_ = !read_more();
    if (const size_t newline = std::string_view(pending_).substr(before).rfind('\n');
        newline != std::string_view::npos) {
      whole = before + newline + 1;
    }
  }
  const size_t size = is_over_ ? pending_.size() : whole;
  std::string chunk = pending_.substr(0, size);
  pending_.erase(0, size);
  return chunk;
}

std::string_view take_line(std::string_view& lines) {
  const size_t newline = lines.find('\n');
  std::string_view line = lines.substr(0, newline);
  lines.remove_prefix(newline == std::string_view::npos ? lines.size() : newline + 1);
  line.remove_suffix(line.ends_with('\r') ? 1 : 0);
  return line;
}

std::vector<std::string_view> lines_of(std::string_view chunk) {
  std::vector<std::string_view> lines;
  while (!chunk.empty()) {
    lines.push_back(take_line(chunk));
  }
  return lines;
}

void for_each_lines(const util::StopFlag& stop, const std::string& command, size_t chunk_bytes, const UseLines& use) {
  constexpr size_t kMostLines = 8192;  // what is made of them is held in memory
  LineChunks chunks(stop, command, chunk_bytes);
  int64_t first = 1;
  for (std::string chunk = chunks.next(); !chunk.empty(); chunk = chunks.next()) {
    const std::vector<std::string_view> all = lines_of(chunk);
    for (std::span<const std::string_view> rest = all; !rest.empty();) {
      const auto lines = rest.first(std::min(rest.size(), kMostLines));
      rest = rest.subspan(lines.size());
      use(first, lines);
      first += std::ssize(lines);
    }
  }
}

void warn_of_cut_texts(const char* command, int64_t count) {
  if (count > 0) {
    util::log_warning(command, cat(util::format_count(count), count == 1 ? " text was" : " texts were",
                                   " longer than the model's folder or --max-tokens allow and cut"));
  }
}

}  // namespace bertcram::cli
