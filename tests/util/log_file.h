#pragma once

#include <string>

#include "bertcram/util/log.h"
#include "util/test_support.h"

namespace bertcram::test {

/// The log of what happens while it lives; stderr shows errors alone meanwhile.
class LogFile {
 public:
  LogFile() { util::configure_logging({.level = util::LogLevel::kError, .file = scratch_ / "log"}); }
  ~LogFile() { util::configure_logging({}); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  std::string text() const { return read_bytes(scratch_ / "log"); }
  /// How often that was logged.
  size_t count_of(const std::string& part) const {
    const std::string all = text();
    size_t count = 0;
    for (size_t at = all.find(part); at != std::string::npos; at = all.find(part, at + 1)) {
      ++count;
    }
    return count;
  }

 private:
  ScratchDirectory scratch_;
};

}  // namespace bertcram::test
