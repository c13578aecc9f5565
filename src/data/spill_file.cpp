#include "spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace bertcram::data {

SpillFile::SpillFile(std::filesystem::path path, size_t buffer_bytes, int64_t keep_bytes)
    : path_(std::move(path)),
      buffer_bytes_(buffer_bytes),
      descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)),
      size_bytes_(keep_bytes) {
  if (descriptor_ < 0) {
    util::throw_write_error(path_, errno);
  }
  if (::ftruncate(descriptor_, keep_bytes) != 0 || ::lseek(descriptor_, keep_bytes, SEEK_SET) != keep_bytes) {
    const int error_number = errno;
    ::close(descriptor_);
    util::throw_write_error(path_, error_number);
  }
}

SpillFile::~SpillFile() { ::close(descriptor_); }

void SpillFile::write_buffer() {
  if (const int error_number = util::write_fully(descriptor_, buffer_); error_number != 0) {
    util::throw_write_error(path_, error_number);
  }
  size_bytes_ += static_cast<int64_t>(buffer_.size());
  buffer_.clear();
}

int64_t SpillFile::flush() {
  const std::lock_guard lock(mutex_);
  write_buffer();
  return size_bytes_;
}

util::MappedFile SpillFile::read() {
  flush();
  return util::MappedFile(path_);
}

}  // namespace bertcram::data
