#include "bertcram/checkpoint/tensor_files.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "bertcram/util/error.h"

namespace bertcram::checkpoint {
namespace {

/// @return nullopt for what is no weight
std::optional<at::ScalarType> weight_type(DType dtype) {
  switch (dtype) {
    case DType::kF32: return at::kFloat;
    case DType::kF16: return at::kHalf;
    case DType::kBF16: return at::kBFloat16;
    default: return std::nullopt;
  }
}

/// A read-only view of mapped bytes, copied from, never written to; of a copy where a header of odd length leaves them
/// off their boundary.
at::Tensor tensor_view(const TensorBytes& tensor, at::ScalarType type) {
  const auto options = at::TensorOptions().dtype(type);
  const auto item_bytes = static_cast<uintptr_t>(options.dtype().itemsize());
  if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % item_bytes == 0) {
    return at::from_blob(const_cast<std::byte*>(tensor.bytes.data()), tensor.shape, options);
  }
  at::Tensor copy = at::empty(tensor.shape, options);
  std::memcpy(copy.mutable_data_ptr(), tensor.bytes.data(), tensor.bytes.size());
  return copy;
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
  return read_tensors(file.tensors(), file.path().string(), targets);
}

LoadReport read_tensors(const std::map<std::string, TensorBytes>& stored, const std::string& where,
                        const std::vector<nn::NamedTensor>& targets) {
  const c10::NoGradGuard no_grad;
  LoadReport report;
  std::set<std::string> wanted;
  for (const auto& [name, target] : targets) {
    wanted.insert(name);
    const auto found = stored.find(name);
    if (found == stored.end()) {
      report.missing.push_back(name);
      continue;
    }
    if (found->second.shape != target.sizes().vec()) {
      throw DataError(cat(where, ": tensor '", name, "' has shape ", at::IntArrayRef(found->second.shape),
                          ", expected ", target.sizes()));
    }
    const auto type = weight_type(found->second.dtype);
    if (!type) {
      throw DataError(cat(where, ": tensor '", name, "' has dtype ", dtype_name(found->second.dtype),
                          ", expected F32, F16 or BF16"));
    }
    at::Tensor destination = target;
    destination.copy_(tensor_view(found->second, *type));
  }
  for (const auto& [name, tensor] : stored) {
    if (!wanted.contains(name)) {
      report.unexpected.push_back(name);
    }
  }
  return report;
}

}  // namespace bertcram::checkpoint
