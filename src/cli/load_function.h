#pragma once

#include <string>

#include "bertcram/util/error.h"
#include "bertcram/util/shared_library.h"

namespace bertcram::cli {

/// A function of a library that lies beside the executable. It is never unloaded: exceptions that come out of it are described in
/// it, and it may have threads of its own.
/// @param what  is missing without it, for the message  @throws ResourceError where it cannot be loaded
template <class Function>
Function* load_function(const char* library, const char* name, const std::string& what) {
  const util::FoundFunction found = util::find_function(library, name);
  if (found.address == nullptr) {
    throw ResourceError(
        cat("cannot load ", what, " (", found.problem, "); run ./scripts/setup.sh and ./scripts/build.sh"));
  }
  return reinterpret_cast<Function*>(found.address);
}

}  // namespace bertcram::cli
