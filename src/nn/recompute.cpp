#include "bertcram/nn/recompute.h"

#include <ATen/Context.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>
#include <utility>

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Block = std::function<at::Tensor(const at::Tensor&)>;

at::Generator generator_of(const at::Device& device) { return at::globalContext().defaultGenerator(device); }

at::Tensor state_of(at::Generator generator) {
  const std::scoped_lock lock(generator.mutex());
  return generator.get_state();
}

void set_state(at::Generator& generator, const at::Tensor& state) {
  const std::scoped_lock lock(generator.mutex());
  generator.set_state(state);
}

/// What backward needs beside tensors.
struct Kept : torch::CustomClassHolder {
  Kept(Block the_block, at::Tensor the_state) : block(std::move(the_block)), generator_state(std::move(the_state)) {}
  Block block;
  at::Tensor generator_state;
};

struct Recomputation : torch::autograd::Function<Recomputation> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const Block* block) {
    context->save_for_backward({x});
    context->saved_data["kept"] =
        c10::IValue::make_capsule(c10::make_intrusive<Kept>(*block, state_of(generator_of(x.device()))));
    return (*block)(x);  // without gradients, as everything in here
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto kept = c10::static_intrusive_pointer_cast<Kept>(context->saved_data["kept"].toCapsule());
    const at::Tensor x = context->get_saved_variables()[0].detach().requires_grad_(true);
    at::Generator generator = generator_of(x.device());
    const at::Tensor state_now = state_of(generator);
    set_state(generator, kept->generator_state);
    {
      const at::AutoGradMode with_gradients(true);
      torch::autograd::backward({kept->block(x)}, {gradients[0]});
    }
    set_state(generator, state_now);
    return {x.grad(), at::Tensor()};
  }
};

}  // namespace

at::Tensor recomputed(const at::Tensor& x, Block block) {
  return c10::GradMode::is_enabled() && x.requires_grad() ? Recomputation::apply(x, &block) : block(x);
}

}  // namespace bertcram::nn
