// Who may look at the dashboard.

#include "monitor/access.h"

#include "util/test_support.h"

namespace bertcram::monitor {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;

constexpr const char* kToken = "0123456789abcdef";

TEST(Authorization, IsTheBearerTokenAndNothingElse) {
  EXPECT_TRUE(is_authorized("Bearer 0123456789abcdef", kToken));
  EXPECT_TRUE(is_authorized("bearer 0123456789abcdef", kToken));
  for (const char* wrong : {"", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef",
                            "Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0",
                            "Bearer 0123456789abcdef0123456789abcdef", "Bearer  0123456789abcdef"}) {
    EXPECT_FALSE(is_authorized(wrong, kToken)) << wrong;
  }
}

TEST(Token, IsReadWithoutTheWhiteSpaceAroundIt) {
  const ScratchDirectory scratch;
  EXPECT_EQ(read_token(scratch.write("t", "  0123456789abcdef\n")), kToken);
  for (const char* wrong :
       {"", "\n", "short", "0123456789abcde f", "0123456789abcdef\x01", "0123456789abcdef\xC3\xA9"}) {
    EXPECT_THROW(read_token(scratch.write("t", wrong)), DataError) << wrong;
  }
  EXPECT_THROW(read_token(scratch / "none"), DataError);
}

// Found by review: cpp-httplib decodes what headers hold, so that with such a token nobody could log in.
TEST(Token, HoldsNoEscapeOfAddresses) {
  const ScratchDirectory scratch;
  for (const char* wrong :
       {"01234%41789abcdef", "0123456789abcdef%fF", "0%%200123456789abcdef", "%u0041123456789abcdef"}) {
    const std::string message = message_of<DataError>([&] { read_token(scratch.write("t", wrong)); });
    EXPECT_TRUE(contains(message, "t: the token has at character ") && contains(message, "openssl")) << message;
    EXPECT_FALSE(contains(message, wrong)) << "it is a secret";
  }
  for (const char* plain : {"100%sure-abcdefgh", "0123456789abcdef%", "0123456789abcdef%4", "0123456789%4gabcdef",
                            "0123456789%u004gabcdef", "0123456789abcdef%u004"}) {
    EXPECT_EQ(read_token(scratch.write("t", plain)), plain);
  }
}

TEST(Loopback, IsThisMachineAlone) {
  for (const char* host : {"127.0.0.1", "127.8.8.8", "::1", "localhost"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "192.168.0.1", "127.evil.example", "localhost.example", ""}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

TEST(HostHeader, OfOthersIsNotTaken) {
  for (const char* host : {"127.0.0.1:8470", "127.0.0.1", "LOCALHOST:9", "[::1]:8470", "[::1]"}) {
    EXPECT_TRUE(names_loopback(host)) << host;
  }
  for (const char* host : {"", "evil.example", "evil.example:8470", "localhost.evil.example", "127.0.0.1.evil.example",
                           "[::1", "[evil]:1", "evil:127.0.0.1"}) {
    EXPECT_FALSE(names_loopback(host)) << host;
  }
}

}  // namespace
}  // namespace bertcram::monitor
