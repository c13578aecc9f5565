// What is said of a port that cannot be listened at.

#include "monitor/listening.h"

#include <sys/resource.h>

#include "util/test_support.h"

namespace bertcram::monitor {
namespace {

using test::contains;
using test::message_of;

/// While it lives, no file or socket can be opened.
class NoMoreFiles {
 public:
  NoMoreFiles() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit none = {.rlim_cur = 0, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoMoreFiles() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }
  NoMoreFiles(const NoMoreFiles&) = delete;
  NoMoreFiles& operator=(const NoMoreFiles&) = delete;

 private:
  rlimit before_{};
};

// Found by review: options were set of a socket that there is not, and "Bad file descriptor" was the reason given.
TEST(Listening, TheReasonIsWhatTheSocketFailedWith) {
  const std::string message = message_of<ResourceError>([] {
    const NoMoreFiles limit;
    throw_listening_error("127.0.0.1", 8470);
  });
  EXPECT_TRUE(contains(message, "port 8470 of 127.0.0.1: Too many open files")) << message;
  EXPECT_TRUE(contains(message, "ulimit -n")) << message;
}

TEST(Listening, AnAddressOfOthersIsAMistakeOfTheCommand) {
  EXPECT_TRUE(contains(message_of<ConfigError>([] { throw_listening_error("192.0.2.1", 8470); }),
                       "--host 192.0.2.1: no address of this machine"));
}

}  // namespace
}  // namespace bertcram::monitor
