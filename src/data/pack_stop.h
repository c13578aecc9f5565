#pragma once

#include "bertcram/util/stop.h"

namespace bertcram::data {

/// @throws util::StoppedError if asked to stop
inline void stop_packing_if_asked(const util::StopFlag& stop) {
  if (stop.requested()) {
    throw util::StoppedError(stop, "pack: stopped; run the same command again");
  }
}

}  // namespace bertcram::data
