#include "bertcram/checkpoint/tensor_files.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <set>

#include "bertcram/util/error.h"

namespace bertcram::checkpoint {
namespace {

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::kF32: return at::kFloat;
    case DType::kF16: return at::kHalf;
    case DType::kBF16: return at::kBFloat16;
    case DType::kI64: return at::kLong;
  }
  throw InternalError("unknown dtype");
}

/// A read-only view of mapped bytes; copied from, never written to.
at::Tensor tensor_view(const TensorBytes& tensor) {
  return at::from_blob(const_cast<std::byte*>(tensor.bytes.data()), tensor.shape,
                       at::TensorOptions().dtype(scalar_type(tensor.dtype)));
}

}  // namespace

std::string write_tensors(const std::filesystem::path& path, const std::vector<nn::NamedTensor>& tensors) {
  std::vector<at::Tensor> hosts;  // keeps the copies alive until they are written
  std::map<std::string, TensorBytes> entries;
  for (const auto& [name, tensor] : tensors) {
    BC_CHECK(tensor.scalar_type() == at::kFloat, name);
    hosts.push_back(tensor.detach().to(at::kCPU).contiguous());
    const at::Tensor& host = hosts.back();
    entries[name] = {.dtype = DType::kF32,
                     .shape = host.sizes().vec(),
                     .bytes = {static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}};
  }
  return write_safetensors(path, entries);
}

LoadReport read_tensors(const SafetensorsFile& file, const std::vector<nn::NamedTensor>& targets) {
  const c10::NoGradGuard no_grad;
  LoadReport report;
  std::set<std::string> wanted;
  for (const auto& [name, target] : targets) {
    wanted.insert(name);
    const auto found = file.tensors().find(name);
    if (found == file.tensors().end()) {
      report.missing.push_back(name);
      continue;
    }
    if (found->second.shape != target.sizes().vec()) {
      throw DataError(cat(file.path().string(), ": tensor '", name, "' has shape ",
                          at::IntArrayRef(found->second.shape), ", expected ", target.sizes()));
    }
    at::Tensor destination = target;
    destination.copy_(tensor_view(found->second));
  }
  for (const auto& [name, tensor] : file.tensors()) {
    if (!wanted.contains(name)) {
      report.unexpected.push_back(name);
    }
  }
  return report;
}

}  // namespace bertcram::checkpoint
