#pragma once

namespace bertcram::nn {

/// Whether linear maps of fp16 numbers on a GPU add up their products in fp16 too, forward and for the gradient of their input:
/// at twice the rate on GeForce cards, at the price of exactness. An experiment, off at first. The gradient of a weight is a sum
/// over all tokens and stays in fp32.
bool uses_fp16_accumulation();
void set_fp16_accumulation(bool is_on);

}  // namespace bertcram::nn
