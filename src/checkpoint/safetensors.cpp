#include "bertcram/checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"

namespace bertcram::checkpoint {
namespace {

using nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr size_t kDataAlignment = 64;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  int64_t bytes;
};
constexpr std::array<DTypeInfo, 15> kDTypes = {{{DType::kF32, "F32", 4},
                                                {DType::kF16, "F16", 2},
                                                {DType::kBF16, "BF16", 2},
                                                {DType::kF64, "F64", 8},
                                                {DType::kI64, "I64", 8},
                                                {DType::kI32, "I32", 4},
                                                {DType::kI16, "I16", 2},
                                                {DType::kI8, "I8", 1},
                                                {DType::kU64, "U64", 8},
                                                {DType::kU32, "U32", 4},
                                                {DType::kU16, "U16", 2},
                                                {DType::kU8, "U8", 1},
                                                {DType::kBool, "BOOL", 1},
                                                {DType::kF8E4M3, "F8_E4M3", 1},
                                                {DType::kF8E5M2, "F8_E5M2", 1}}};

const DTypeInfo& info_of(DType dtype) { return *std::ranges::find(kDTypes, dtype, &DTypeInfo::dtype); }

json header_of(const std::map<std::string, TensorBytes>& tensors) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t end = offset + tensor.bytes.size();
    header[name] = {{"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  return header;
}

/// Bytes of a tensor of this shape, or nullopt on a negative size or an overflow.
std::optional<uint64_t> byte_count(const std::vector<int64_t>& shape, int64_t bytes_per_item) {
  auto total = static_cast<uint64_t>(bytes_per_item);
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(total, static_cast<uint64_t>(size), &total)) {
      return std::nullopt;
    }
  }
  return total;
}

/// Reads and validates one header entry; `data` is everything behind the header.
TensorBytes parse_tensor(const std::string& name, const json& entry, std::span<const std::byte> data) {
  const auto dtype_text = entry.at("dtype").get<std::string>();
  const auto* dtype = std::ranges::find(kDTypes, dtype_text, &DTypeInfo::name);
  if (dtype == kDTypes.end()) {
    throw DataError(cat("tensor '", name, "' has the unknown dtype ", dtype_text));
  }
  TensorBytes tensor;
  tensor.dtype = dtype->dtype;
  if (!std::ranges::all_of(entry.at("shape"), &json::is_number_integer)) {
    throw DataError(cat("tensor '", name, "' has shape ", entry.at("shape").dump(), ", expected whole numbers"));
  }
  tensor.shape = entry.at("shape").get<std::vector<int64_t>>();
  const auto offsets = entry.at("data_offsets").get<std::array<uint64_t, 2>>();
  const auto expected = byte_count(tensor.shape, dtype->bytes);
  if (offsets[0] > offsets[1] || offsets[1] > data.size()) {
    throw DataError(cat("tensor '", name, "' lies at bytes ", offsets[0], " to ", offsets[1], " of ", data.size(),
                        " (file truncated?)"));
  }
  if (!expected || *expected != offsets[1] - offsets[0]) {
    throw DataError(cat("tensor '", name, "' has ", offsets[1] - offsets[0], " bytes, its shape and dtype ask for ",
                        expected ? std::to_string(*expected) : "an impossible number"));
  }
  if (offsets[0] % static_cast<uint64_t>(dtype->bytes) != 0) {
    throw DataError(cat("tensor '", name, "' begins at byte ", offsets[0], ", which is no multiple of its ",
                        dtype->bytes, "-byte numbers"));
  }
  tensor.bytes = data.subspan(offsets[0], offsets[1] - offsets[0]);
  return tensor;
}

void check_no_holes(const std::map<std::string, TensorBytes>& tensors, std::span<const std::byte> data) {
  std::vector<const TensorBytes*> by_offset;
  by_offset.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    by_offset.push_back(&tensor);
  }
  std::ranges::sort(by_offset, [](const TensorBytes* a, const TensorBytes* b) {
    return std::pair(a->bytes.data(), a->bytes.size()) < std::pair(b->bytes.data(), b->bytes.size());
  });
  const std::byte* at = data.data();
  for (const TensorBytes* tensor : by_offset) {
    if (tensor->bytes.data() != at) {
      throw DataError(cat("tensors overlap or leave a hole at byte ", at - data.data()));
    }
    at += tensor->bytes.size();
  }
  if (at != data.data() + data.size()) {
    throw DataError(cat(data.data() + data.size() - at, " bytes behind the last tensor"));
  }
}

}  // namespace

std::string_view dtype_name(DType dtype) { return info_of(dtype).name; }

std::string write_safetensors(const std::filesystem::path& path, const std::map<std::string, TensorBytes>& tensors) {
  std::string header = header_of(tensors).dump();
  const size_t used = kLengthBytes + header.size();
  header.append((kDataAlignment - used % kDataAlignment) % kDataAlignment, ' ');
  const uint64_t length = header.size();
  util::AtomicFile file(path);
  util::StreamHash hash;
  const auto write = [&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    file.write(bytes);
  };
  write(std::as_bytes(std::span(&length, 1)));
  write(std::as_bytes(std::span(header)));
  for (const auto& [name, tensor] : tensors) {
    write(tensor.bytes);
  }
  file.commit();
  return hash.digest128().hex();
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const auto refuse = [&](const std::string& what) {
    throw DataError(cat(path_.string(), ": not a valid safetensors file: ", what));
  };
  uint64_t length = 0;
  if (file_.size() < kLengthBytes) {
    refuse(cat("only ", file_.size(), " bytes"));
  }
  std::memcpy(&length, file_.bytes().data(), kLengthBytes);
  if (length > kMaxHeaderBytes || length > file_.size() - kLengthBytes) {
    refuse(cat("the header would be ", length, " bytes long in a file of ", file_.size(), " (file truncated?)"));
  }
  const auto data = file_.bytes().subspan(kLengthBytes + length);
  try {
    const auto header = util::parse_json(file_.text().substr(kLengthBytes, length));
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") {
        tensors_.emplace(name, parse_tensor(name, entry, data));
      }
    }
    check_no_holes(tensors_, data);
  } catch (const json::exception& error) {
    refuse(util::json_error_text(error.what()));
  } catch (const DataError& error) {
    refuse(error.what());
  }
}

}  // namespace bertcram::checkpoint
