#include "spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace bertcram::data {

SpillFile::SpillFile(std::filesystem::path path, size_t buffer_bytes, KeptSpill kept)
    : path_(std::move(path)),
      buffer_bytes_(buffer_bytes),
      descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)),
      size_bytes_(kept.bytes),
      hash_(std::move(kept.hash)) {
  if (descriptor_ < 0) {
    util::throw_write_error(path_, errno);
  }
  if (::ftruncate(descriptor_, size_bytes_) != 0 || ::lseek(descriptor_, size_bytes_, SEEK_SET) != size_bytes_) {
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
  hash_.update(buffer_);
  buffer_.clear();
}

void SpillFile::flush() {
  const std::lock_guard lock(mutex_);
  write_buffer();
}

util::MappedFile SpillFile::read() {
  flush();
  return util::MappedFile(path_);
}

}  // namespace bertcram::data
