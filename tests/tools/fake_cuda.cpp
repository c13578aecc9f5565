// A libcuda.so.1 of one card, for tests of what is said where a driver is and LibTorch's CUDA libraries are not. Its compute
// capability is FAKE_CUDA_CAPABILITY, 86 by default.

#include <cstddef>
#include <cstdio>
#include <cstdlib>

extern "C" {

int cuInit(unsigned /*flags*/) { return 0; }

int cuDeviceGetCount(int* count) {
  *count = 1;
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int /*device*/) {
  constexpr int kCapabilityMajor = 75;
  const char* const asked = std::getenv("FAKE_CUDA_CAPABILITY");
  const int capability = asked != nullptr ? std::atoi(asked) : 86;
  *value = attribute == kCapabilityMajor ? capability / 10 : capability % 10;
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
