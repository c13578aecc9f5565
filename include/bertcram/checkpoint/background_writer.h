#pragma once
// Checkpoints that are written while training goes on.

#include <atomic>
#include <exception>
#include <filesystem>
#include <thread>

#include "bertcram/checkpoint/checkpoint.h"

namespace bertcram::checkpoint {

/// Copies what is to be saved into memory and writes it on a thread of its own. Not thread-safe itself.
class BackgroundWriter {
 public:
  explicit BackgroundWriter(std::filesystem::path directory) : directory_(std::move(directory)) {}
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  /// Returns once the copy is made, or, without memory for one, when all is written; waits for the one before.
  /// @throws ResourceError if there is no room on the disk, or what wait() throws
  void start(const TrainState& state, const TrainTensors& tensors, const Retention& retention);
  /// Writes without a copy and returns when all is on disk. @throws likewise
  void write(const TrainState& state, const TrainTensors& tensors, const Retention& retention);
  /// Whether wait() would wait.
  bool is_busy() const { return is_busy_.load(); }
  /// Until the last checkpoint is on disk. @throws what writing it threw: once
  void wait();
  /// What writing the last one took; 0 = none yet.
  double seconds_of_last() const { return seconds_of_last_.load(); }

 private:
  void save(const TrainState& state, const TrainTensors& tensors, const Retention& retention);

  std::filesystem::path directory_;
  std::thread thread_;
  std::atomic<bool> is_busy_ = false;
  std::atomic<double> seconds_of_last_ = 0;
  std::exception_ptr failure_;
};

}  // namespace bertcram::checkpoint
