#include "training.h"

#include "load_function.h"

namespace bertcram::cli {

const train::Functions& training() {
  return *load_function<train::GetFunctions>(train::kModule, train::kGetFunctions,
                                             "LibTorch, without which there is no training")();
}

}  // namespace bertcram::cli
