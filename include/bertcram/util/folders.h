#pragma once

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace bertcram::util {

/// The names of the folders (and of links to some) in a folder, sorted; those up to a failure of listing it, which
/// `failure` then has.
std::vector<std::string> folder_names_in(const std::filesystem::path& folder, std::error_code& failure);

}  // namespace bertcram::util
