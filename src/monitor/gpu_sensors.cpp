#include "bertcram/monitor/gpu_sensors.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "bertcram/util/text.h"

namespace bertcram::monitor {
namespace {

// Of nvml.h, which belongs to the CUDA toolkit; the library keeps these from release to release. 0 is success.
using Init = int (*)();
using DeviceByIndex = int (*)(unsigned int index, void** device);
using DeviceByUuid = int (*)(const char* uuid, void** device);
using Temperature = int (*)(void* device, int sensor, unsigned int* celsius);
using PowerUsage = int (*)(void* device, unsigned int* milliwatts);

template <class Function>
Function function_of(void* library, const char* name) {
  return reinterpret_cast<Function>(::dlsym(library, name));
}

/// The first word of CUDA_VISIBLE_DEVICES; without the variable "0", as if it named all.
std::string first_visible() {
  const char* variable = std::getenv("CUDA_VISIBLE_DEVICES");
  const std::string_view all = variable == nullptr ? "0" : variable;
  return std::string(util::trim(all.substr(0, all.find(','))));
}

void* find_device(void* library) {
  void* device = nullptr;
  const std::string name = first_visible();
  if (const auto index = util::parse_int(name)) {
    const auto by_index = function_of<DeviceByIndex>(library, "nvmlDeviceGetHandleByIndex_v2");
    const bool is_found =
        by_index != nullptr && *index >= 0 && by_index(static_cast<unsigned int>(*index), &device) == 0;
    return is_found ? device : nullptr;
  }
  const auto by_uuid = function_of<DeviceByUuid>(library, "nvmlDeviceGetHandleByUUID");
  return by_uuid != nullptr && by_uuid(name.c_str(), &device) == 0 ? device : nullptr;
}

}  // namespace

GpuSensors::GpuSensors() : library_(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
  if (library_ == nullptr) {
    return;
  }
  const auto init = function_of<Init>(library_, "nvmlInit_v2");
  if (init != nullptr && init() == 0) {
    device_ = find_device(library_);
  }
}

GpuSensors::~GpuSensors() {
  if (library_ != nullptr) {
    if (const auto shutdown = function_of<Init>(library_, "nvmlShutdown")) {
      shutdown();
    }
    ::dlclose(library_);
  }
}

GpuSensors::Readings GpuSensors::read() const {
  Readings readings;
  if (device_ == nullptr) {
    return readings;
  }
  constexpr int kGpuSensor = 0;
  constexpr double kMilli = 1000;
  unsigned int value = 0;
  const auto temperature = function_of<Temperature>(library_, "nvmlDeviceGetTemperature");
  if (temperature != nullptr && temperature(device_, kGpuSensor, &value) == 0) {
    readings.temperature = value;
  }
  const auto power = function_of<PowerUsage>(library_, "nvmlDeviceGetPowerUsage");
  if (power != nullptr && power(device_, &value) == 0) {
    readings.power_watts = value / kMilli;
  }
  return readings;
}

}  // namespace bertcram::monitor
