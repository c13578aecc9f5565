#pragma once

namespace bertcram::train {

/// From now on large tensors in the CPU's memory get blocks that were freed before, if there are such (util/block_cache.h). To
/// be called before other threads use tensors; again is no change.
void keep_freed_memory();

/// Gives blocks that lie idle back to the system: later tensors need others, or fewer.
void give_back_freed_memory();

}  // namespace bertcram::train
