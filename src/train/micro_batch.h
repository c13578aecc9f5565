#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/util/out_of_memory.h"

namespace bertcram::train {

/// Tries 8, 16, 32, … rows, up to `most`, and stops where a pass finds no memory or two sizes in a row were not faster.
/// @param seconds_of  time of a pass of so many rows; nullopt if it finds no memory
/// @return the size with the most rows per second; nullopt if none fits
std::optional<int64_t> fastest_rows_per_pass(int64_t most,
                                             const std::function<std::optional<double>(int64_t)>& seconds_of);

/// For the log.
struct Place {
  const char* command;
  std::string step;
};

/// Gives unused memory back, so that passes of another size find it.
void give_back_memory(at::Device device);

/// Forgets the gradients of a step and gives unused memory back, so that passes of another size find it.
void clear_attempt(nn::Parameters& parameters);

/// The next smaller passes: half of the rows, and behind a single one all of `first_rows` with recomputed activations.
/// Logged. @param where  command and place, e.g. {"pretrain", "step 7"}  @return false if there are none
bool make_smaller(checkpoint::Passes& passes, int64_t first_rows, const Place& where);

/// Runs a step's passes; when memory runs out, once more from the beginning with smaller ones: the same mathematics.
/// @param attempt  forward and backward of the whole step in passes as `passes` says  @return what it returns
/// @throws what the last attempt threw if a single row finds no memory
template <class Attempt>
auto with_back_off(checkpoint::Passes& passes, nn::Parameters& parameters, const Place& where, const Attempt& attempt) {
  const int64_t first_rows = passes.rows;
  while (true) {
    try {
      return attempt();
    } catch (const std::exception& error) {
      clear_attempt(parameters);
      if (!util::is_out_of_memory(error) || !make_smaller(passes, first_rows, where)) {
        throw;
      }
    }
  }
}

/// Logged.
void note_smaller(int64_t rows, const Place& where);

/// Runs what keeps nothing between its passes, such as an evaluation; when memory runs out, again with half as many rows at
/// a time. Logged once, when it is done.
/// @param rows     at a time; left at what found memory, for who comes again
/// @param attempt  int64_t rows → what is returned
/// @throws what the last attempt threw if a single row finds no memory
template <class Attempt>
auto with_smaller(int64_t& rows, at::Device device, const Place& where, const Attempt& attempt) {
  const int64_t first_rows = rows;
  while (true) {
    try {
      auto result = attempt(rows);
      if (rows < first_rows) {
        note_smaller(rows, where);
      }
      return result;
    } catch (const std::exception& error) {
      if (!util::is_out_of_memory(error) || rows == 1) {
        throw;
      }
    }
    rows = (rows + 1) / 2;
    give_back_memory(device);
  }
}

}  // namespace bertcram::train
