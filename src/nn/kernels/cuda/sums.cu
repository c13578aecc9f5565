// Starts the kernels that sum over rows.

#include "starting.cuh"
#include "sums_kernels.cuh"

namespace bertcram::nn::kernels::cuda {

void add_parts(const float* parts, int64_t count, int64_t columns, float* sums, Stream stream) {
  const auto blocks = static_cast<unsigned>((columns + kWarp - 1) / kWarp);
  add_parts_kernel<<<blocks, kPartWarps * kWarp, 0, stream>>>(parts, count, columns, sums);
}

const char* column_sums(Storage type, const void* x, int64_t rows, int64_t columns, const SumParts& parts, float* sums,
                        Stream stream) {
  with_type(type, [&](auto number) {
    using T = decltype(number);
    const int64_t blocks_of_a_row = (columns / Vector<T>::kCount + kWarp - 1) / kWarp;
    const auto blocks = static_cast<unsigned>(blocks_of_a_row * parts.count);
    column_parts_kernel<<<blocks, kSumWarps * kWarp, 0, stream>>>(static_cast<const T*>(x), rows, columns, parts.count,
                                                                  parts.numbers);
  });
  add_parts(parts.numbers, parts.count, columns, sums, stream);
  return launch_failure();
}

}  // namespace bertcram::nn::kernels::cuda
