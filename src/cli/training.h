#pragma once
// The commands' way to what needs LibTorch.

#include "bertcram/train/module.h"

namespace bertcram::cli {

/// Loads LibTorch at the first call. @throws ResourceError where it cannot be loaded
const train::Functions& training();

}  // namespace bertcram::cli
