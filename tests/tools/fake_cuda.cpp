// A libcuda.so.1 of one card, for tests of what is said where a driver is and LibTorch's CUDA libraries are not.

#include <cstddef>
#include <cstdio>

extern "C" {

int cuInit(unsigned /*flags*/) { return 0; }

int cuDeviceGetCount(int* count) {
  *count = 1;
  return 0;
}

int cuDeviceGetAttribute(int* value, int /*attribute*/, int /*device*/) {
  *value = 8;
  return 0;
}

int cuDeviceTotalMem_v2(size_t* bytes, int /*device*/) {
  *bytes = size_t{8} << 30;
  return 0;
}

int cuDeviceGetName(char* name, int size, int /*device*/) {
  std::snprintf(name, static_cast<size_t>(size), "Imaginary RTX");
  return 0;
}
}
