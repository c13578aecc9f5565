// Starts the kernels of layer normalisation.

#include "norm_kernels.cuh"
#include "starting.cuh"

namespace bertcram::nn::kernels::cuda {
namespace {

/// body(T{}, N) with a number N::value of vectors per thread that hold a row. REQUIRES: row_fits(hidden)
template <class Body>
void with_row(Storage type, int64_t hidden, const Body& body) {
  with_type(type, [&](auto number) {
    constexpr int64_t kNumbers = int64_t{kWarp} * Vector<decltype(number)>::kCount;
    const int64_t vectors = (hidden + kNumbers - 1) / kNumbers;
    if (vectors <= 1) {
      body(number, std::integral_constant<int, 1>{});
    } else if (vectors == 2) {
      body(number, std::integral_constant<int, 2>{});
    } else if (vectors == 3) {
      body(number, std::integral_constant<int, 3>{});
    } else if (vectors == 4) {
      body(number, std::integral_constant<int, 4>{});
    }
    if constexpr (kNumbers == 4 * kWarp) {  // fp32: twice as many
      if (vectors > 6) {
        body(number, std::integral_constant<int, 8>{});
      } else if (vectors > 4) {
        body(number, std::integral_constant<int, 6>{});
      }
    }
  });
}

}  // namespace

const char* norm(Storage type, const NormForward& call, Stream stream) {
  constexpr int64_t kMostBlocks = 65'535;
  const auto blocks = static_cast<unsigned>(std::min((call.rows + kNormWarps - 1) / kNormWarps, kMostBlocks));
  with_row(type, call.hidden, [&](auto number, auto vectors) {
    norm_kernel<decltype(number), decltype(vectors)::value><<<blocks, kNormWarps * kWarp, 0, stream>>>(call);
  });
  return launch_failure();
}

const char* norm_backward(Storage type, const NormBackward& call, Stream stream) {
  const auto blocks = static_cast<unsigned>(call.parts);
  with_row(type, call.hidden, [&](auto number, auto vectors) {
    norm_backward_kernel<decltype(number), decltype(vectors)::value><<<blocks, kNormWarps * kWarp, 0, stream>>>(call);
  });
  add_parts(call.weight_parts, call.parts, call.hidden, call.weight_sums, stream);
  if (call.bias_sums != nullptr) {
    add_parts(call.bias_parts, call.parts, call.hidden, call.bias_sums, stream);
  }
  return launch_failure();
}

}  // namespace bertcram::nn::kernels::cuda
