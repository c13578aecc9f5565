#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace bertcram::train {

/// Rows per pass where the size is of no consequence for the speed, as on a CPU: some 4,096 tokens, at least one row.
int64_t usual_rows_per_pass(int64_t seq_len, int64_t most);

/// Tries 8, 16, 32, … rows, up to `most`, and stops where a pass finds no memory or two sizes in a row were not faster.
/// @param seconds_of  time of a pass of so many rows; nullopt if it finds no memory
/// @return the size with the most rows per second; nullopt if none fits
std::optional<int64_t> fastest_rows_per_pass(int64_t most,
                                             const std::function<std::optional<double>(int64_t)>& seconds_of);

}  // namespace bertcram::train
