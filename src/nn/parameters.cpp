#include "bertcram/nn/parameters.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>

#include "bertcram/nn/random.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"

namespace bertcram::nn {
namespace {

// Every tensor starts on a 64-byte boundary of the flat buffer, so that vector loads and safetensors stay aligned.
constexpr int64_t kAlignNumbers = 32;

int64_t numel(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

int64_t aligned(int64_t count) { return (count + kAlignNumbers - 1) / kAlignNumbers * kAlignNumbers; }

/// [rows, width]: sin and cos of p / rows^(2i / width), interleaved. Vaswani et al. use 10000 for sentences of any length.
void fill_sinusoid(float* out, int64_t rows, int64_t width, double standard_deviation) {
  const double amplitude = standard_deviation * std::numbers::sqrt2;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < width; ++column) {
      const int64_t even_column = column - column % 2;
      const double exponent = static_cast<double>(even_column) / static_cast<double>(width);
      const double angle = static_cast<double>(row) / std::pow(static_cast<double>(rows), exponent);
      *out++ = static_cast<float>(amplitude * (column % 2 == 0 ? std::sin(angle) : std::cos(angle)));
    }
  }
}

}  // namespace

Parameters::Parameters(std::vector<ParameterSpec> specs, at::ScalarType compute_type, at::Device device)
    : compute_type_(compute_type) {
  // Group by group, each in the given order: contiguous ranges for the optimizer.
  int64_t offset = 0;
  std::vector<int64_t> offsets(specs.size());
  for (const Group group : {Group::kMatrix, Group::kTable, Group::kVector}) {
    const int64_t begin = offset;
    for (size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].group == group) {
        offsets[i] = offset;
        offset += aligned(numel(specs[i].shape));
      }
    }
    ranges_[static_cast<size_t>(group)] = {.begin = begin, .size = offset - begin};
  }
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
  masters_ = at::zeros({offset}, options);
  gradients_ = at::zeros({offset}, options);
  compute_ = compute_type == at::kFloat ? masters_ : at::zeros({offset}, options.dtype(compute_type));
  for (size_t i = 0; i < specs.size(); ++i) {
    BC_CHECK(specs[i].shape[0] % static_cast<int64_t>(specs[i].parts.size()) == 0, specs[i].leaf);
    index_.emplace(specs[i].leaf, slots_.size());
    slots_.push_back({.spec = std::move(specs[i]), .offset = offsets[i], .master = {}, .compute = {}});
  }
  make_leaves();
}

at::Tensor Parameters::view_of(const at::Tensor& flat, const Slot& slot) const {
  return flat.narrow(0, slot.offset, numel(slot.spec.shape)).view(slot.spec.shape);
}

void Parameters::make_leaves() {
  for (Slot& slot : slots_) {
    slot.master = view_of(masters_, slot).detach().requires_grad_(true);
    slot.master.mutable_grad() = view_of(gradients_, slot);
    slot.compute = compute_type_ == at::kFloat ? slot.master : view_of(compute_, slot).detach().requires_grad_(true);
    slot.compute.mutable_grad() = view_of(gradients_, slot);  // fp32 too: backward adds to it what it has in any type
  }
}

const Parameters::Slot& Parameters::slot(const std::string& name) const {
  const auto found = index_.find(name);
  BC_CHECK(found != index_.end(), "no parameter ", name);
  return slots_[found->second];
}

const at::Tensor& Parameters::leaf(const std::string& name) const { return slot(name).compute; }

const at::Tensor& Parameters::master_leaf(const std::string& name) const { return slot(name).master; }

void Parameters::initialise(const Slot& slot, uint64_t seed, double init_std) {
  const c10::NoGradGuard no_grad;
  const ParameterSpec& spec = slot.spec;
  at::Tensor target = view_of(masters_, slot);
  switch (spec.init) {
    case Init::kZeros: target.zero_(); return;
    case Init::kOnes: target.fill_(1.0); return;
    case Init::kNormal:
    case Init::kTruncatedNormal:
    case Init::kSimilarity:
    case Init::kSinusoid: break;
  }
  if (spec.init == Init::kSinusoid) {
    at::Tensor host = at::empty(spec.shape, at::kFloat);
    fill_sinusoid(host.data_ptr<float>(), host.size(0), host.size(1), init_std);
    target.copy_(host);
    return;
  }
  const util::RandomStream random(seed, util::RandomPurpose::kInitialisation, {util::hash64(spec.leaf)});
  const double standard_deviation = init_std * spec.init_scale;
  const at::Tensor host = spec.init == Init::kTruncatedNormal
                              ? truncated_normal_tensor(spec.shape, standard_deviation, random)
                              : normal_tensor(spec.shape, standard_deviation, random);
  if (spec.init == Init::kSimilarity) {
    const int64_t rows = host.size(0) / 3;
    host.narrow(0, rows, rows).copy_(host.narrow(0, 0, rows));
  }
  target.copy_(host);
}

void Parameters::initialise(uint64_t seed, double init_std) {
  for (const Slot& each : slots_) {
    initialise(each, seed, init_std);
  }
  sync_compute();
}

void Parameters::zero_gradients() { gradients_.zero_(); }

void Parameters::sync_compute() {
  const c10::NoGradGuard no_grad;
  if (compute_type_ != at::kFloat) {
    compute_.copy_(masters_);
  }
}

void Parameters::note_change() {
  masters_.unsafeGetTensorImpl()->bump_version();
  if (compute_type_ != at::kFloat) {
    compute_.unsafeGetTensorImpl()->bump_version();
  }
}

int64_t Parameters::count() const {
  return std::accumulate(slots_.begin(), slots_.end(), int64_t{0},
                         [](int64_t sum, const Slot& each) { return sum + numel(each.spec.shape); });
}

at::Tensor Parameters::stored(const std::string& name) const {
  const auto views = stored_views(masters_);
  const auto found = std::ranges::find(views, name, &NamedTensor::name);
  BC_CHECK(found != views.end(), "no parameter ", name);
  return found->tensor;
}

void Parameters::assign(const std::string& stored_name, const at::Tensor& values) {
  const c10::NoGradGuard no_grad;
  stored(stored_name).copy_(values);
  sync_compute();
}

std::vector<at::Tensor> Parameters::matrix_views(const at::Tensor& flat) const {
  std::vector<at::Tensor> views;
  for (const Slot& each : slots_) {
    if (each.spec.group == Group::kMatrix) {
      views.push_back(view_of(flat, each).view({each.spec.blocks, -1, each.spec.shape[1]}));
    }
  }
  return views;
}

std::vector<NamedTensor> Parameters::stored_views(const at::Tensor& flat) const {
  std::vector<NamedTensor> views;
  for (const Slot& each : slots_) {
    const at::Tensor whole = view_of(flat, each);
    const auto parts = whole.chunk(static_cast<int64_t>(each.spec.parts.size()), 0);
    for (size_t i = 0; i < parts.size(); ++i) {
      views.push_back({each.spec.parts[i], parts[i]});
    }
  }
  return views;
}

}  // namespace bertcram::nn
