// A libnvidia-ml.so.1 for machines without a GPU: one that is 61 °C warm and draws 187.5 W, or with FAKE_NVML=broken one
// whose sensors fail.

#include <cstdlib>
#include <string_view>

namespace {

int g_device = 0;

int success() {
  const char* mode = std::getenv("FAKE_NVML");
  constexpr int kNotSupported = 3;
  return mode != nullptr && std::string_view(mode) == "broken" ? kNotSupported : 0;
}

}  // namespace

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void** device) {
  *device = &g_device;
  return index == 0 ? 0 : 2;
}

int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  *device = &g_device;
  return std::string_view(uuid) == "GPU-fake" ? 0 : 2;
}

int nvmlDeviceGetTemperature(void* /*device*/, int /*sensor*/, unsigned int* celsius) {
  *celsius = 61;
  return success();
}

int nvmlDeviceGetPowerUsage(void* /*device*/, unsigned int* milliwatts) {
  *milliwatts = 187'500;
  return success();
}
}
