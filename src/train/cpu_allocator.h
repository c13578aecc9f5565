#pragma once

#include <cstdint>
#include <optional>

namespace bertcram::train {

/// From now on large tensors in the CPU's memory get blocks that were freed before, if there are such (util/block_cache.h). To
/// be called before other threads use tensors.
/// @param limit  of the process: an eighth of it is left to those who cannot ask for what lies idle, malloc and oneDNN's code
void keep_freed_memory(std::optional<int64_t> limit);

/// Gives blocks that lie idle back to the system: later tensors need others, or fewer.
void give_back_freed_memory();

}  // namespace bertcram::train
