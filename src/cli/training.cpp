#include "training.h"

#include <dlfcn.h>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::cli {

const train::Functions& training() {
  // Never unloaded: LibTorch has threads of its own.
  void* handle = ::dlopen(train::kModule, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  void* function = handle == nullptr ? nullptr : ::dlsym(handle, train::kGetFunctions);
  if (function == nullptr) {
    const char* reason = ::dlerror();
    throw ResourceError(cat("cannot load LibTorch, without which there is no training (",
                            reason == nullptr ? train::kModule : reason,
                            "); run ./scripts/setup.sh and ./scripts/build.sh"));
  }
  return *reinterpret_cast<train::GetFunctions*>(function)();
}

}  // namespace bertcram::cli
