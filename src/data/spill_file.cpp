#include "spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace bertcram::data {

SpillFile::SpillFile(std::filesystem::path path, size_t buffer_bytes)
    : path_(std::move(path)),
      buffer_bytes_(buffer_bytes),
      descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) {
    util::throw_write_error(path_, errno);
  }
}

SpillFile::~SpillFile() { remove(); }

void SpillFile::remove() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    ::unlink(path_.c_str());
    descriptor_ = -1;
  }
}

void SpillFile::flush() {
  if (const int error_number = util::write_fully(descriptor_, buffer_); error_number != 0) {
    util::throw_write_error(path_, error_number);
  }
  buffer_.clear();
}

util::MappedFile SpillFile::read() {
  const std::lock_guard lock(mutex_);
  flush();
  return util::MappedFile(path_);
}

}  // namespace bertcram::data
