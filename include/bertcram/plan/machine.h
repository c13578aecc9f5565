#pragma once
// What a plan knows of the machine that will train: a card from the list, or this one as measured.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "bertcram/config/train_config.h"

namespace bertcram::plan {

/// By its data sheet. Rates of 16-bit products are dense ones with fp32 sums, which GeForce cards do at half the speed that is
/// often named.
struct Card {
  std::string_view key;    ///< as `--gpu` takes it: 3060ti
  std::string_view title;  ///< GeForce RTX 3060 Ti
  double memory_gib;
  double tensor_tflops;
  double fp32_tflops;  ///< of the shaders: what fp32 has without TF32
  double gigabytes_per_second;
  double watts;   ///< board power
  bool has_bf16;  ///< and TF32 (since Ampere); otherwise fp16 (Turing)
};

std::span<const Card> cards();
/// By key or title, whatever the case, spaces and words such as "RTX". @return null if the list has no such card
const Card* find_card(std::string_view name);

/// What memory and speed depend on.
struct Machine {
  std::string name;
  std::string model =
      {};  ///< of the GPU or CPU as it names itself; empty = it does not, or this is none that was measured
  bool is_gpu = false;
  config::Precision precision = config::Precision::kFp32;  ///< that training would take; never kAuto
  int64_t threads = 0;                                     ///< of a CPU
  int64_t memory_bytes = 0;                                ///< that may be used
  int64_t own_bytes = 0;        ///< of them taken before a model is there: CUDA's context, or LibTorch in the process
  int64_t reserved_bytes = 0;   ///< of them others need: the card's driver and a desktop
  double flops = 0;             ///< of large products in this precision, per second
  double bytes_per_second = 0;  ///< reading and writing memory
  double watts = 0;             ///< 0 = unknown
  bool has_kernels = false;     ///< own kernels of all functions but products in this precision, see nn/fused.h
  bool has_product_kernels = false;  ///< own products too: nn::uses_bf16_products
  bool sums_gradients = false;       ///< products add to the gradients of weights that are there; so do own products
  bool is_measured = false;          ///< rates are measured ones, not from a data sheet
  bool is_limited = false;           ///< memory_bytes are --memory-limit, which is less than there is
};

/// @param runtime  its precision, where kAuto is bf16, or fp16 where the card has no bf16; tf32; and memory_limit, which
///                 leaves the rest of the card to others
Machine machine_of(const Card& card, const config::RuntimeConfig& runtime);

}  // namespace bertcram::plan
