#pragma once
// Who may look at the dashboard.

#include <filesystem>
#include <string>
#include <string_view>

namespace bertcram::monitor {

/// The token in a file, without white space around it.
/// @throws DataError if it is missing, not 16 to 1000 visible ASCII characters, or holds an escape of addresses (%41, %u0041), as
/// which no header would bring it
std::string read_token(const std::filesystem::path& file);

/// Whether an `Authorization` header is "Bearer TOKEN". Takes equally long for all wrong tokens of a length.
bool is_authorized(std::string_view authorization, std::string_view token);

/// Whether only this machine reaches an address to listen at.
bool is_loopback(std::string_view host);

/// Whether a `Host` header names this machine itself. A page of others whose name was made to lead here (DNS rebinding)
/// could otherwise read what a server without a token tells.
bool names_loopback(std::string_view host_header);

}  // namespace bertcram::monitor
