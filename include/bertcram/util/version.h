#pragma once
// What this executable is, for logs and --version.

#include <string_view>

namespace bertcram::util {

std::string_view version();        ///< e.g. "0.1.0"
std::string_view commit();         ///< git commit it was built from; -dirty: files were changed; "unknown" outside one
std::string_view torch_version();  ///< LibTorch it was built against

}  // namespace bertcram::util
