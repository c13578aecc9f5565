// The safetensors format: what is written reads back, and nothing else is read.

#include "bertcram/checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "bertcram/checkpoint/tensor_files.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/random.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::checkpoint {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;

/// A file from its parts, valid or not.
std::string file_of(const std::string& header, std::string_view data, std::optional<uint64_t> length = std::nullopt) {
  const uint64_t written = length.value_or(header.size());
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &written, 8);
  return bytes + header + std::string(data);
}

std::string refusal(const std::string& bytes) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("model.safetensors", bytes);
  const std::string message = message_of<DataError>([&] { SafetensorsFile file(path); });
  EXPECT_TRUE(contains(message, "model.safetensors: not a valid safetensors file"));
  return message;
}

std::string small_file(const std::filesystem::path& path) {
  const std::vector<nn::NamedTensor> tensors = {{"b", at::arange(6, at::kFloat).view({2, 3})}, {"a", at::ones({2})}};
  write_tensors(path, tensors);
  return test::read_bytes(path);
}

TEST(Safetensors, ReadsBackWhatItWrites) {
  const ScratchDirectory scratch;
  util::RandomStream random(test::test_seed());
  const at::Tensor matrix = test::random_tensor(random, {7, 5}).to(at::kFloat);
  const at::Tensor scalar = at::full({}, 3.5);
  const at::Tensor none = at::zeros({0, 4});
  const std::string hash = write_tensors(scratch / "file", {{"z", matrix.t()}, {"scalar", scalar}, {"none", none}});
  EXPECT_EQ(hash, util::hash_file(scratch / "file").hex());
  const SafetensorsFile file(scratch / "file");
  ASSERT_EQ(file.tensors().size(), 3U);
  EXPECT_EQ(file.tensors().at("z").shape, (std::vector<int64_t>{5, 7}));
  at::Tensor target = at::zeros({5, 7});
  at::Tensor one = at::zeros({});
  at::Tensor empty = at::ones({0, 4});
  const LoadReport report = read_tensors(file, {{"z", target}, {"scalar", one}, {"none", empty}});
  EXPECT_TRUE(report.missing.empty() && report.unexpected.empty());
  EXPECT_TRUE(test::same_bits(target, matrix.t().contiguous()));
  EXPECT_EQ(one.item<double>(), 3.5);
}

TEST(Safetensors, ConvertsHalfTypesAndIntegersToFp32) {
  const ScratchDirectory scratch;
  const at::Tensor bf16 = at::tensor({1.5, -2.0}).to(at::kBFloat16);
  const at::Tensor fp16 = at::tensor({0.25, 3.0}).to(at::kHalf);
  const auto view = [](const at::Tensor& tensor, DType dtype) -> TensorBytes {
    return {.dtype = dtype,
            .shape = tensor.sizes().vec(),
            .bytes = {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}};
  };
  write_safetensors(scratch / "file", {{"b", view(bf16, DType::kBF16)}, {"h", view(fp16, DType::kF16)}});
  const at::Tensor b = at::zeros({2});
  const at::Tensor h = at::zeros({2});
  read_tensors(SafetensorsFile(scratch / "file"), {{"b", b}, {"h", h}});
  EXPECT_TRUE(test::near(b, at::tensor({1.5, -2.0}), 0));
  EXPECT_TRUE(test::near(h, at::tensor({0.25, 3.0}), 0));
}

TEST(Safetensors, EqualInputGivesEqualBytesWithAlignedData) {
  const ScratchDirectory scratch;
  const std::string bytes = small_file(scratch / "one");
  EXPECT_EQ(bytes, small_file(scratch / "two"));
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ((8 + length) % 64, 0U);
  EXPECT_EQ(bytes.size(), 8 + length + (6 + 2) * 4);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  EXPECT_EQ(header["__metadata__"]["format"], "pt");
  EXPECT_EQ(header["a"], (nlohmann::json{{"dtype", "F32"}, {"shape", {2}}, {"data_offsets", {0, 8}}}));
}

TEST(Safetensors, ReportsWhatIsMissingAndWhatIsTooMuch) {
  const ScratchDirectory scratch;
  small_file(scratch / "file");
  const LoadReport report =
      read_tensors(SafetensorsFile(scratch / "file"), {{"a", at::zeros({2})}, {"c", at::zeros({1})}});
  EXPECT_EQ(report.missing, (std::vector<std::string>{"c"}));
  EXPECT_EQ(report.unexpected, (std::vector<std::string>{"b"}));
}

TEST(Safetensors, AShapeMismatchNamesTensorAndShapes) {
  const ScratchDirectory scratch;
  small_file(scratch / "file");
  const std::string message = message_of<DataError>([&] {
    read_tensors(SafetensorsFile(scratch / "file"), {{"b", at::zeros({3, 2})}});
  });
  EXPECT_TRUE(contains(message, "'b' has shape [2, 3], expected [3, 2]"));
}

TEST(SafetensorsFormat, EveryTruncationIsRefused) {
  const ScratchDirectory scratch;
  const std::string whole = small_file(scratch / "file");
  for (size_t length = 0; length < whole.size(); ++length) {
    refusal(whole.substr(0, length));
  }
  EXPECT_TRUE(contains(refusal(whole + "x"), "behind the last tensor"));
}

TEST(SafetensorsFormat, FlippedHeaderBytesAreReadOrRefusedNeverACrash) {
  const ScratchDirectory scratch;
  const std::string whole = small_file(scratch / "file");
  for (size_t at = 0; at < whole.size() - 32; ++at) {
    for (const char flip : {'\x01', '\x04', '\x10', '\x80', '\xFF'}) {
      std::string damaged = whole;
      damaged[at] ^= flip;
      try {
        const SafetensorsFile file(scratch.write("damaged", damaged));
        for (const auto& [name, tensor] : file.tensors()) {
          EXPECT_LE(tensor.bytes.size(), 32U);
        }
      } catch (const DataError&) {  // anything else would fail the test
      }
    }
  }
}

TEST(SafetensorsFormat, AHeaderBeyondTheFileIsRefused) {
  EXPECT_TRUE(contains(refusal(file_of("{}", "", 3)), "header would be 3 bytes"));
  EXPECT_TRUE(contains(refusal(file_of("{}", "", ~uint64_t{0})), "header would be"));
  EXPECT_TRUE(contains(refusal(file_of("{}", "", ~uint64_t{0} - 7)), "header would be"));
  refusal(file_of("{", ""));
  refusal(file_of("", ""));
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(SafetensorsFormat, WrongEntriesAreRefused) {
  const std::string data(16, 'x');
  const auto with = [&](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return refusal(file_of("{\"t\":" + entry(dtype, shape, offsets) + "}", data));
  };
  EXPECT_TRUE(contains(with("F31", "[2]", "[0,16]"), "'t' has the unknown dtype F31"));
  EXPECT_TRUE(contains(with("F32", "[3]", "[0,16]"), "'t' has 16 bytes, its shape and dtype ask for 12"));
  EXPECT_TRUE(contains(with("F32", "[-4]", "[0,16]"), "impossible"));
  EXPECT_TRUE(contains(with("F32", "[4611686018427387905, 4]", "[0,16]"), "impossible"));
  EXPECT_TRUE(contains(with("F32", "[4]", "[16,0]"), "lies at bytes"));
  EXPECT_TRUE(contains(with("F32", "[8]", "[0,32]"), "truncated"));
  EXPECT_TRUE(contains(with("F32", "[3]", "[4,16]"), "hole"));
  EXPECT_TRUE(contains(with("F32", "[3]", "[0,12]"), "behind the last tensor"));
  for (const char* header : {R"([])", R"(3)", R"("t")", R"({"t":3})", R"({"t":{"dtype":"F32"}})",
                             R"({"t":{"dtype":1,"shape":[4],"data_offsets":[0,16]}})",
                             R"({"t":{"dtype":"F32","shape":"x","data_offsets":[0,16]}})",
                             R"({"t":{"dtype":"F32","shape":[4],"data_offsets":[0]}})",
                             R"({"t":{"dtype":"F32","shape":[4],"data_offsets":[-16,0]}})",
                             R"({"t":{"dtype":"F32","shape":[4.5],"data_offsets":[0,16]}})"}) {
    refusal(file_of(header, data));
  }
}

TEST(SafetensorsFormat, OverlapsAndHolesBetweenTensorsAreRefused) {
  const std::string data(16, 'x');
  const auto two = [&](const std::string& first, const std::string& second) {
    return file_of("{\"a\":" + first + ",\"b\":" + second + "}", data);
  };
  EXPECT_TRUE(contains(refusal(two(entry("F32", "[3]", "[0,12]"), entry("F32", "[2]", "[8,16]"))), "overlap"));
  EXPECT_TRUE(contains(refusal(two(entry("F32", "[4]", "[0,16]"), entry("F32", "[4]", "[0,16]"))), "overlap"));
  EXPECT_TRUE(contains(refusal(two(entry("F32", "[1]", "[0,4]"), entry("F32", "[2]", "[8,16]"))), "hole"));
  const ScratchDirectory scratch;
  const auto sound = scratch.write("sound", two(entry("F32", "[2]", "[8,16]"), entry("BF16", "[4]", "[0,8]")));
  EXPECT_EQ(SafetensorsFile(sound).tensors().size(), 2U);
}

TEST(SafetensorsFormat, ATensorOffTheBoundaryOfItsNumbersIsRefused) {
  const std::string data(14, 'x');
  const std::string header =
      "{\"a\":" + entry("BF16", "[3]", "[0,6]") + ",\"b\":" + entry("F32", "[2]", "[6,14]") + "}";
  EXPECT_TRUE(contains(refusal(file_of(header, data)), "'b' begins at byte 6, which is no multiple of its 4-byte"));
}

// A header that is not padded puts all data off their boundaries in memory, in a file that is sound.
TEST(Safetensors, AHeaderOfAnyLengthIsRead) {
  const ScratchDirectory scratch;
  const std::vector<float> numbers = {1.5F, -2.0F};
  std::string data(8, '\0');
  std::memcpy(data.data(), numbers.data(), 8);
  for (size_t spaces = 0; spaces < 8; ++spaces) {
    const std::string header = "{\"t\":" + entry("F32", "[2]", "[0,8]") + "}" + std::string(spaces, ' ');
    const auto path = scratch.write("file", file_of(header, data));
    const at::Tensor target = at::zeros({2});
    read_tensors(SafetensorsFile(path), {{"t", target}});
    EXPECT_TRUE(test::same_bits(target, at::tensor({1.5F, -2.0F})));
  }
}

TEST(Safetensors, WhatIsNoWeightIsReadPastAndNeverInto) {
  const ScratchDirectory scratch;
  const auto path = scratch.write(
      "file", file_of("{\"ids\":" + entry("I64", "[2]", "[0,16]") + ",\"on\":" + entry("BOOL", "[3]", "[16,19]") + "}",
                      std::string(19, '\1')));
  const SafetensorsFile file(path);
  EXPECT_EQ(read_tensors(file, {}).unexpected.size(), 2U);
  EXPECT_TRUE(contains(message_of<DataError>([&] {
                         read_tensors(file, {{"ids", at::zeros({2})}});
                       }),
                       "'ids' has dtype I64, expected F32, F16 or BF16"));
}

TEST(Safetensors, AMissingFileIsADataError) { EXPECT_THROW(SafetensorsFile("/nowhere/model.safetensors"), DataError); }

}  // namespace
}  // namespace bertcram::checkpoint
