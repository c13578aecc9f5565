#include "devices.h"

#include <dlfcn.h>

#include <array>
#include <fstream>

#include "bertcram/util/text.h"

namespace bertcram::train {

std::optional<Gpu> first_gpu() {
  void* driver = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) {
    return std::nullopt;
  }
  constexpr int kCapabilityMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
  constexpr int kCapabilityMinor = 76;
  using InitFunction = int (*)(unsigned);
  using CountFunction = int (*)(int*);
  using AttributeFunction = int (*)(int*, int, int);
  using MemoryFunction = int (*)(size_t*, int);
  using NameFunction = int (*)(char*, int, int);
  const auto init = reinterpret_cast<InitFunction>(::dlsym(driver, "cuInit"));
  const auto count_devices = reinterpret_cast<CountFunction>(::dlsym(driver, "cuDeviceGetCount"));
  const auto attribute = reinterpret_cast<AttributeFunction>(::dlsym(driver, "cuDeviceGetAttribute"));
  const auto memory = reinterpret_cast<MemoryFunction>(::dlsym(driver, "cuDeviceTotalMem_v2"));
  const auto name_of = reinterpret_cast<NameFunction>(::dlsym(driver, "cuDeviceGetName"));
  int count = 0;
  int major = 0;
  int minor = 0;
  size_t bytes = 0;
  const bool usable = init != nullptr && count_devices != nullptr && attribute != nullptr && memory != nullptr &&
                      init(0) == 0 && count_devices(&count) == 0 && count > 0 &&
                      attribute(&major, kCapabilityMajor, 0) == 0 && attribute(&minor, kCapabilityMinor, 0) == 0 &&
                      memory(&bytes, 0) == 0;
  if (!usable) {
    return std::nullopt;
  }
  Gpu gpu = {.capability = 10 * major + minor, .memory_bytes = static_cast<int64_t>(bytes)};
  std::array<char, 256> name = {};
  if (name_of != nullptr && name_of(name.data(), static_cast<int>(name.size()), 0) == 0) {
    gpu.name = name.data();
  }
  return gpu;
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    if (line.starts_with("model name") && colon != std::string::npos) {
      return std::string(util::trim(std::string_view(line).substr(colon + 1)));
    }
  }
  return "";
}

}  // namespace bertcram::train
