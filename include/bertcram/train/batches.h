#pragma once
// Independent forward passes, as many at once as the machine is good for.

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "bertcram/train/runtime.h"

namespace bertcram::train {

/// Calls `body(i)` for every i in [0, count) in any order, without gradients. On the CPU runtime.threads calls run side by
/// side with one thread each, which saves the waiting for each other inside of every operation; on a GPU one after another.
/// Afterwards LibTorch has runtime.threads threads again. Throws what a call threw first.
void for_each_batch(const Runtime& runtime, int64_t count, const std::function<void(int64_t)>& body);

/// @param what  the numbers are  @param model  its folder
/// @throws DataError if some of what a model gave is no number: its weights are damaged
void require_numbers(std::span<const float> numbers, const char* what, const std::string& model);
void require_numbers(std::span<const double> numbers, const char* what, const std::string& model);

}  // namespace bertcram::train
