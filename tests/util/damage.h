#pragma once
// Files as bad disks, bad downloads and bad editors make them.

#include <string>

#include "bertcram/util/random.h"

namespace bertcram::test {

/// The text with a few bytes replaced, removed or repeated.
inline std::string damaged(std::string text, util::RandomStream& random) {
  for (uint64_t damage = 1 + random.below(4); damage > 0 && !text.empty(); --damage) {
    const auto at = static_cast<size_t>(random.below(text.size()));
    switch (random.below(3)) {
      case 0: text[at] = static_cast<char>(random.below(256)); break;
      case 1: text.erase(at, static_cast<size_t>(1 + random.below(8))); break;
      default: text.insert(at, text.substr(at, static_cast<size_t>(1 + random.below(8))));
    }
  }
  return text;
}

}  // namespace bertcram::test
