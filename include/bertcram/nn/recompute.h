#pragma once
// Activations computed twice instead of being kept (Chen et al. 2016, "Training deep nets with sublinear memory cost").

#include <ATen/core/Tensor.h>

#include <functional>

namespace bertcram::nn {

/// block(x), of which only x is kept for the backward pass, where the block is computed again: with the same dropout, so
/// that the gradients are the same numbers. Costs one more forward pass of the block.
/// @param block  differentiable; gradients of what it refers to are added where backward() adds them. What it captures
///               must live until the backward pass
/// @return       the block's result. Without gradients, or if x needs none (the graph would end there), it is simply called.
/// Pinned by: tests/nn/recompute_test.cpp
at::Tensor recomputed(const at::Tensor& x, std::function<at::Tensor(const at::Tensor&)> block);

}  // namespace bertcram::nn
