#pragma once
// GELU and GeGLU: memory is read once and written once, 16 bytes at a time.

#include "numbers.cuh"

namespace bertcram::nn::kernels::cuda {

/// For whole vectors and then for what is left: body(index) of a vector's first number, tail(index) of a single one.
template <class T, class Body, class Tail>
__device__ void for_vectors(int64_t count, const Body& body, const Tail& tail) {
  const int64_t vectors = count / Vector<T>::kCount;
  for (int64_t i = first_item(); i < vectors; i += item_stride()) {
    body(i * Vector<T>::kCount);
  }
  for (int64_t i = vectors * Vector<T>::kCount + first_item(); i < count; i += item_stride()) {
    tail(i);
  }
}

template <class T>
__global__ void gelu_kernel(const T* x, int64_t count, T* y) {
  for_vectors<T>(
      count,
      [&](int64_t i) {
        Vector<T> numbers = load_vector(x + i);
        for (T& each : numbers.numbers) {
          store(&each, gelu_value(as_float(each)));
        }
        store_vector(y + i, numbers);
      },
      [&](int64_t i) { store(y + i, gelu_value(as_float(x[i]))); });
}

template <class T>
__global__ void gelu_backward_kernel(const T* x, const T* y_gradient, int64_t count, T* x_gradient) {
  for_vectors<T>(
      count,
      [&](int64_t i) {
        const Vector<T> numbers = load_vector(x + i);
        Vector<T> gradients = load_vector(y_gradient + i);
        for (int k = 0; k < Vector<T>::kCount; ++k) {
          store(&gradients.numbers[k], as_float(gradients.numbers[k]) * gelu_slope(as_float(numbers.numbers[k])));
        }
        store_vector(x_gradient + i, gradients);
      },
      [&](int64_t i) { store(x_gradient + i, as_float(y_gradient[i]) * gelu_slope(as_float(x[i]))); });
}

/// Number `i` of y [rows, ffn] comes from these two of x [rows, 2 · ffn].
__device__ inline int64_t activated_index(int64_t i, int64_t ffn) { return i / ffn * 2 * ffn + i % ffn; }

/// REQUIRES: ffn is a multiple of the vector's length, so that no vector crosses a row's middle or end
template <class T>
__global__ void geglu_kernel(const T* x, int64_t rows, int64_t ffn, T* y) {
  for (int64_t i = first_item() * Vector<T>::kCount; i < rows * ffn; i += item_stride() * Vector<T>::kCount) {
    const T* const from = x + activated_index(i, ffn);
    Vector<T> activated = load_vector(from);
    const Vector<T> gate = load_vector(from + ffn);
    for (int k = 0; k < Vector<T>::kCount; ++k) {
      store(&activated.numbers[k], geglu_value({as_float(activated.numbers[k]), as_float(gate.numbers[k])}));
    }
    store_vector(y + i, activated);
  }
}

/// REQUIRES: as geglu_kernel
template <class T>
__global__ void geglu_backward_kernel(const T* x, const T* y_gradient, int64_t rows, int64_t ffn, T* x_gradient) {
  for (int64_t i = first_item() * Vector<T>::kCount; i < rows * ffn; i += item_stride() * Vector<T>::kCount) {
    const int64_t at = activated_index(i, ffn);
    Vector<T> activated = load_vector(x + at);
    Vector<T> gate = load_vector(x + at + ffn);
    const Vector<T> gradient = load_vector(y_gradient + i);
    for (int k = 0; k < Vector<T>::kCount; ++k) {
      const GatePair both =
          geglu_gradient({as_float(activated.numbers[k]), as_float(gate.numbers[k])}, as_float(gradient.numbers[k]));
      store(&activated.numbers[k], both.activated);
      store(&gate.numbers[k], both.gate);
    }
    store_vector(x_gradient + at, activated);
    store_vector(x_gradient + at + ffn, gate);
  }
}

}  // namespace bertcram::nn::kernels::cuda
