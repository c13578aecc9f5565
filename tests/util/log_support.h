#pragma once
// What is logged, for tests of warnings.

#include <string>

#include "bertcram/util/log.h"
#include "util/test_support.h"

namespace bertcram::test {

/// The log of what happens while it lives.
class LogFile {
 public:
  LogFile() { util::configure_logging({.level = util::LogLevel::kError, .file = scratch_ / "log"}); }
  ~LogFile() { util::configure_logging({}); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  std::string text() const { return read_bytes(scratch_ / "log"); }

 private:
  ScratchDirectory scratch_;
};

}  // namespace bertcram::test
