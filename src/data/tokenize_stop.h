#pragma once

#include "bertcram/util/stop.h"

namespace bertcram::data {

/// @throws util::StoppedError if asked to stop
inline void stop_tokenizing_if_asked(const util::StopFlag& stop) {
  if (stop.requested()) {
    throw util::StoppedError(stop, "tokenize: stopped; nothing was written");
  }
}

}  // namespace bertcram::data
