#include "bertcram/plan/machine.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "bertcram/util/text.h"

namespace bertcram::plan {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

// NVIDIA's data sheets and architecture whitepapers (Turing, Ampere GA102, Ada, Blackwell). Where these give the rate of the
// shaders only, a GeForce card since Ampere does twice as much in 16-bit products with fp32 sums, Turing four times. fp32 is that of
// the shaders, from the same data sheets.
constexpr std::array kCards = {
    Card{"2060", "GeForce RTX 2060", 6, 25.8, 6.5, 336, 160, false},
    Card{"2070", "GeForce RTX 2070", 8, 29.9, 7.5, 448, 175, false},
    Card{"2070super", "GeForce RTX 2070 SUPER", 8, 36.2, 9.1, 448, 215, false},
    Card{"2080", "GeForce RTX 2080", 8, 40.3, 10.1, 448, 215, false},
    Card{"2080super", "GeForce RTX 2080 SUPER", 8, 44.6, 11.2, 496, 250, false},
    Card{"2080ti", "GeForce RTX 2080 Ti", 11, 53.8, 13.4, 616, 250, false},
    Card{"3050", "GeForce RTX 3050 8 GB", 8, 18.2, 9.1, 224, 130, true},
    Card{"3060", "GeForce RTX 3060 12 GB", 12, 25.5, 12.7, 360, 170, true},
    Card{"3060ti", "GeForce RTX 3060 Ti", 8, 32.4, 16.2, 448, 200, true},
    Card{"3070", "GeForce RTX 3070", 8, 40.6, 20.3, 448, 220, true},
    Card{"3070ti", "GeForce RTX 3070 Ti", 8, 43.5, 21.7, 608, 290, true},
    Card{"3080", "GeForce RTX 3080 10 GB", 10, 59.5, 29.8, 760, 320, true},
    Card{"3080ti", "GeForce RTX 3080 Ti", 12, 68.2, 34.1, 912, 350, true},
    Card{"3090", "GeForce RTX 3090", 24, 71.0, 35.6, 936, 350, true},
    Card{"3090ti", "GeForce RTX 3090 Ti", 24, 80.0, 40.0, 1008, 450, true},
    Card{"4060", "GeForce RTX 4060", 8, 30.2, 15.1, 272, 115, true},
    Card{"4060ti", "GeForce RTX 4060 Ti 8 GB", 8, 44.1, 22.1, 288, 160, true},
    Card{"4060ti16", "GeForce RTX 4060 Ti 16 GB", 16, 44.1, 22.1, 288, 165, true},
    Card{"4070", "GeForce RTX 4070", 12, 58.3, 29.1, 504, 200, true},
    Card{"4070super", "GeForce RTX 4070 SUPER", 12, 71.0, 35.5, 504, 220, true},
    Card{"4070ti", "GeForce RTX 4070 Ti", 12, 80.2, 40.1, 504, 285, true},
    Card{"4070tisuper", "GeForce RTX 4070 Ti SUPER", 16, 88.2, 44.1, 672, 285, true},
    Card{"4080", "GeForce RTX 4080", 16, 97.5, 48.7, 717, 320, true},
    Card{"4080super", "GeForce RTX 4080 SUPER", 16, 104.4, 52.2, 736, 320, true},
    Card{"4090", "GeForce RTX 4090", 24, 165.2, 82.6, 1008, 450, true},
    Card{"5060", "GeForce RTX 5060", 8, 38.4, 19.2, 448, 145, true},
    Card{"5060ti", "GeForce RTX 5060 Ti 8 GB", 8, 47.4, 23.7, 448, 180, true},
    Card{"5060ti16", "GeForce RTX 5060 Ti 16 GB", 16, 47.4, 23.7, 448, 180, true},
    Card{"5070", "GeForce RTX 5070", 12, 61.7, 30.9, 672, 250, true},
    Card{"5070ti", "GeForce RTX 5070 Ti", 16, 87.9, 43.9, 896, 300, true},
    Card{"5080", "GeForce RTX 5080", 16, 112.6, 56.3, 960, 360, true},
    Card{"t4", "Tesla T4", 16, 65, 8.1, 320, 70, false},
    Card{"l4", "L4", 24, 121, 30.3, 300, 72, true},
    Card{"a10", "A10", 24, 125, 31.2, 600, 150, true},
    Card{"a4000", "RTX A4000", 16, 76.7, 19.2, 448, 140, true},
    Card{"a5000", "RTX A5000", 24, 111.1, 27.8, 768, 230, true},
};

/// Lower case, without spaces, signs and the words in front that everybody leaves out.
std::string plain(std::string_view name) {
  std::string text;
  for (const char each : name) {
    if (std::isalnum(static_cast<unsigned char>(each)) != 0) {
      text += static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
    }
  }
  for (const std::string_view word : {"nvidia", "geforce", "tesla", "rtx"}) {
    if (text.starts_with(word)) {
      text.erase(0, word.size());
    }
  }
  return text;
}

/// Of products in fp32, in tensor cores if TF32 is asked for and there: at half of their rate in 16 bits, since Ampere.
double fp32_tflops(const Card& card, bool wants_tf32) {
  constexpr double kTf32Share = 0.5;
  return wants_tf32 && card.has_bf16 ? kTf32Share * card.tensor_tflops : card.fp32_tflops;
}

}  // namespace

std::span<const Card> cards() { return kCards; }

const Card* find_card(std::string_view name) {
  const std::string wanted = plain(name);
  const auto found =
      std::ranges::find_if(kCards, [&](const Card& card) { return wanted == card.key || wanted == plain(card.title); });
  return found == kCards.end() ? nullptr : &*found;
}

Machine machine_of(const Card& card, const config::RuntimeConfig& runtime) {
  // CUDA's context, LibTorch's loaded kernels and cuBLAS's workspace on a card; measured by nobody here yet.
  constexpr double kOwnGiB = 0.45;
  // What the driver and a desktop have of the card before we come: a guess, some hundred MB by hearsay.
  constexpr double kOthersGiB = 0.5;
  using config::Precision;
  const Precision chosen = runtime.precision != Precision::kAuto ? runtime.precision
                           : card.has_bf16                       ? Precision::kBf16
                                                                 : Precision::kFp16;
  const auto memory = static_cast<int64_t>(card.memory_gib * kGiB);
  const int64_t usable = std::min(memory, util::parse_bytes(runtime.memory_limit).value_or(memory));
  return {.name = std::string(card.title),
          .is_gpu = true,
          .precision = chosen,
          .memory_bytes = usable,
          .own_bytes = static_cast<int64_t>(kOwnGiB * kGiB),
          .reserved_bytes = std::max<int64_t>(0, static_cast<int64_t>(kOthersGiB * kGiB) - (memory - usable)),
          .flops = 1e12 * (chosen == Precision::kFp32 ? fp32_tflops(card, runtime.tf32) : card.tensor_tflops),
          .bytes_per_second = 1e9 * card.gigabytes_per_second,
          .watts = card.watts,
          .is_limited = usable < memory};
}

}  // namespace bertcram::plan
