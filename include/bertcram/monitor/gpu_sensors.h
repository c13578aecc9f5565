#pragma once

#include <optional>

namespace bertcram::monitor {

/// Temperature and power of an NVIDIA GPU, by NVML, which comes with the driver and is opened at run time: where it is not
/// there, or does not know, there are no readings.
class GpuSensors {
 public:
  struct Readings {
    std::optional<double> temperature = {};  ///< °C
    std::optional<double> power_watts = {};
  };

  /// Of the first GPU that CUDA_VISIBLE_DEVICES names by number or UUID, without it of the first of all.
  GpuSensors();
  ~GpuSensors();
  GpuSensors(const GpuSensors&) = delete;
  GpuSensors& operator=(const GpuSensors&) = delete;

  Readings read() const;

 private:
  void* library_ = nullptr;
  void* device_ = nullptr;
};

}  // namespace bertcram::monitor
