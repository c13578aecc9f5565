#pragma once
// Functions of libraries that are there on some machines only.

#include <dlfcn.h>

#include <string>

namespace bertcram::util {

struct FoundFunction {
  void* address = nullptr;   ///< nullptr where there is none
  std::string problem = {};  ///< the loader's words in that case
};

/// A function of a library that stays loaded. Inline, as the loader looks beside the code that calls it.
inline FoundFunction find_function(const char* library, const char* function) {
  void* const handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  void* const address = handle == nullptr ? nullptr : ::dlsym(handle, function);
  if (address != nullptr) {
    return {.address = address};
  }
  const char* const reason = ::dlerror();
  return {.problem = reason == nullptr ? std::string(library) + " cannot be loaded" : reason};
}

}  // namespace bertcram::util
