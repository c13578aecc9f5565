#pragma once

namespace bertcram::train {

/// Where the time of training steps went, in seconds. On a GPU only what waits for the device is its time: see TrainStep.
struct PhaseSeconds {
  double load = 0;  ///< waiting for data
  double forward = 0;
  double backward = 0;
  double update = 0;  ///< norm, clipping, optimizer, copy in the compute type

  void add(const PhaseSeconds& other, double weight = 1.0) {
    load += weight * other.load;
    forward += weight * other.forward;
    backward += weight * other.backward;
    update += weight * other.update;
  }
};

}  // namespace bertcram::train
