#include "access.h"

#include <algorithm>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/text.h"

namespace bertcram::monitor {
namespace {

/// Where the text has what cpp-httplib takes for an escape, which it replaces in every header: `%` and two hexadecimal digits, or
/// `%u` and four. @return npos if nowhere
size_t find_escape(std::string_view text) {
  constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";
  for (size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
    const bool is_long = text.substr(at + 1).starts_with('u');
    const std::string_view digits = text.substr(at + 1 + (is_long ? 1 : 0), is_long ? 4 : 2);
    if (digits.size() == (is_long ? 4 : 2) && digits.find_first_not_of(kHexDigits) == std::string_view::npos) {
      return at;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::string read_token(const std::filesystem::path& file) {
  constexpr size_t kShortest = 16;
  constexpr size_t kLongest = 1000;
  const std::string content = util::read_file(file);
  std::string token(util::trim(content));
  const bool is_plain = std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
  if (token.size() < kShortest || token.size() > kLongest || !is_plain) {
    throw DataError(cat(file.string(), ": expected a token of ", kShortest, " to ", kLongest,
                        " visible ASCII characters, found ", token.size(), is_plain ? "" : ", not all of them visible",
                        "; make one with 'openssl rand -hex 24'"));
  }
  if (const size_t at = find_escape(token); at != std::string::npos) {
    throw DataError(cat(file.string(), ": the token has at character ", at + 1,
                        " a '%' with hexadecimal digits behind it, which would reach the server as another "
                        "character; make one with 'openssl rand -hex 24'"));
  }
  return token;
}

bool is_authorized(std::string_view authorization, std::string_view token) {
  constexpr std::string_view kScheme = "bearer ";
  if (util::to_lower_ascii(authorization.substr(0, kScheme.size())) != kScheme) {
    return false;
  }
  const std::string_view given = authorization.substr(kScheme.size());
  unsigned difference = given.size() == token.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned>(given[i] ^ token[i % token.size()]);
  }
  return difference == 0;
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

bool names_loopback(std::string_view host_header) {
  std::string host = util::to_lower_ascii(host_header);
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end != std::string::npos && is_loopback(std::string_view(host).substr(1, end - 1));
  }
  return is_loopback(host.substr(0, host.find(':')));
}

}  // namespace bertcram::monitor
