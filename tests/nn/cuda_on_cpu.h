#pragma once
// The CUDA kernels' own source, compiled for the CPU with a few definitions in place of CUDA's: its threads are run one after the
// other, or, where they wait for each other, as threads. For one test program's source: it defines what nvcc would.

#include <algorithm>
#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#include "bertcram/util/random.h"
#include "util/test_support.h"

namespace {

struct Position {
  unsigned x;
};
thread_local Position threadIdx;
thread_local Position blockIdx;
Position blockDim;
Position gridDim;

constexpr unsigned kWarpSize = 32;
std::barrier<>* block_barrier = nullptr;
std::vector<std::unique_ptr<std::barrier<>>> warp_barriers;
std::vector<float> exchanged;  // of each thread of the block

void __syncthreads() { block_barrier->arrive_and_wait(); }

float __shfl_xor_sync(unsigned /*mask*/, float mine, int distance) {
  std::barrier<>& warp = *warp_barriers[threadIdx.x / kWarpSize];
  exchanged[threadIdx.x] = mine;
  warp.arrive_and_wait();
  const float other = exchanged[threadIdx.x ^ static_cast<unsigned>(distance)];
  warp.arrive_and_wait();
  return other;
}

}  // namespace

#define __global__ inline
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"  // of array sizes
#include "nn/kernels/cuda/activations_kernels.cuh"
#include "nn/kernels/cuda/adamw_kernels.cuh"
#include "nn/kernels/cuda/cross_entropy_kernels.cuh"
#include "nn/kernels/cuda/norm_kernels.cuh"
#include "nn/kernels/cuda/rotary_kernels.cuh"
#include "nn/kernels/cuda/sums_kernels.cuh"
#pragma GCC diagnostic pop

namespace bertcram::nn::kernels::cuda {
namespace {

/// Runs the threads of a grid one after the other.
template <class Kernel>
void for_each_thread(unsigned blocks, unsigned threads, const Kernel& kernel) {
  gridDim = {blocks};
  blockDim = {threads};
  for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
    for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) {
      kernel();
    }
  }
}

/// Block after block, the threads of each at once.
template <class Kernel>
void for_each_block(unsigned blocks, unsigned threads, const Kernel& kernel) {
  gridDim = {blocks};
  blockDim = {threads};
  exchanged.resize(threads);
  for (unsigned block = 0; block < blocks; ++block) {
    std::barrier barrier(threads);
    block_barrier = &barrier;
    warp_barriers.clear();
    for (unsigned warp = 0; warp < threads / kWarpSize; ++warp) {
      warp_barriers.push_back(std::make_unique<std::barrier<>>(kWarpSize));
    }
    std::vector<std::jthread> running;
    for (unsigned thread = 0; thread < threads; ++thread) {
      running.emplace_back([&, thread] {
        blockIdx = {block};
        threadIdx = {thread};
        kernel();
      });
    }
  }
}

/// Numbers that begin where vectors do, with a border that nobody may write.
class Buffer {
 public:
  static constexpr float kUntouched = -12'345.0F;  // which no kernel leaves as it is

  explicit Buffer(int64_t count) : count_(static_cast<size_t>(count)), vectors_(count_ / 4 + 2) {
    std::fill_n(data(), 4 * vectors_.size(), kUntouched);
  }
  Buffer(int64_t count, util::RandomStream& random, double scale) : Buffer(count) {
    for (size_t i = 0; i < count_; ++i) {
      data()[i] = static_cast<float>(scale * (2 * random.uniform() - 1));
    }
  }
  float* data() { return vectors_.front().numbers; }
  float& operator[](int64_t i) { return data()[i]; }
  bool is_border_untouched() {
    return std::all_of(data() + count_, data() + 4 * vectors_.size(), [](float x) { return x == kUntouched; });
  }

 private:
  size_t count_;
  std::vector<Vector<float>> vectors_;
};

}  // namespace
}  // namespace bertcram::nn::kernels::cuda
