#pragma once

#include <filesystem>

namespace bertcram::cli {

/// `pack --inspect`: prints what a packed folder holds, and the text of a few rows. @throws DataError
void inspect_packed(const std::filesystem::path& folder, bool as_json);

}  // namespace bertcram::cli
