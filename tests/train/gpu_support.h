#pragma once
// For tests with the label gpu.

#include <optional>
#include <string>

#include "bertcram/train/runtime.h"
#include "bertcram/util/error.h"

namespace bertcram::test {

/// Why a test that needs a GPU is skipped; nullopt where there is one.
inline std::optional<std::string> reason_without_gpu() {
  try {
    train::set_up_runtime({.device = config::DeviceKind::kCuda});
    return std::nullopt;
  } catch (const ResourceError& reason) {
    return reason.what();
  }
}

}  // namespace bertcram::test
