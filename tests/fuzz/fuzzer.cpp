// The entry points of libFuzzer:
//
//   bertcram_fuzz TARGET CORPUS [libFuzzer's options]
//
// adds the good files of a target (targets.cpp) to the folder CORPUS and goes on from there. scripts/fuzz.sh runs them all.

#include <cstdio>
#include <cstdlib>

#include "bertcram/util/log.h"
#include "fuzz/targets.h"
#include "util/test_support.h"

namespace {

using bertcram::test::FuzzTarget;

// libFuzzer's functions can be given nothing.
const FuzzTarget* g_target = nullptr;

const FuzzTarget* find_target(std::string_view name) {
  for (const FuzzTarget& target : bertcram::test::fuzz_targets()) {
    if (target.name == name) {
      return &target;
    }
  }
  return nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  bertcram::util::configure_logging({.level = bertcram::util::LogLevel::kError, .file = {}});
  g_target = *argc < 3 ? nullptr : find_target((*argv)[1]);
  if (g_target == nullptr) {
    std::fputs("usage: bertcram_fuzz TARGET CORPUS [options]; the targets are:\n", stderr);
    for (const FuzzTarget& target : bertcram::test::fuzz_targets()) {
      std::fprintf(stderr, "%s\n", std::string(target.name).c_str());
    }
    std::exit(2);
  }
  const std::filesystem::path corpus = (*argv)[2];
  int number = 0;
  for (const std::string& seed : g_target->seeds()) {
    bertcram::test::write_bytes(corpus / ("seed-" + std::to_string(number++)), seed);
  }
  (*argv)[1] = (*argv)[0];  // libFuzzer sees the rest
  ++*argv;
  --*argc;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bertcram::test::ScratchDirectory folder;
  bertcram::test::accepts(*g_target, {reinterpret_cast<const char*>(data), size}, folder.path());
  return 0;
}
