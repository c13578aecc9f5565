#include "bertcram/util/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::util {
namespace {

[[noreturn]] void throw_read_error(const std::filesystem::path& path, int error_number) {
  const std::string message = cat("cannot read ", path.string(), ": ", std::strerror(error_number));
  if (error_number == ENOENT || error_number == ENOTDIR || error_number == EISDIR || error_number == EINVAL) {
    throw DataError(message);
  }
  throw UnreadableError(message);
}

constexpr const char* kTemporaryMark = ".tmp-";
constexpr const char* kTemporaryLinkEnd = ".tmp";

}  // namespace

int write_fully(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno;
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return 0;
}

void throw_write_error(const std::filesystem::path& path, int error_number) {
  std::string hint;
  if (error_number == ENOSPC || error_number == EDQUOT) {
    std::error_code ignored;
    const auto space = std::filesystem::space(path.parent_path().empty() ? "." : path.parent_path(), ignored);
    hint = cat("; ", ignored ? std::string("no") : format_bytes(static_cast<int64_t>(space.available)),
               " free there: make room or choose another output folder, then run the same command again");
  } else if (error_number == EACCES || error_number == EPERM || error_number == EROFS) {
    hint = "; choose an output folder that you may write to";
  }
  throw ResourceError(cat("cannot write ", path.string(), ": ", std::strerror(error_number), hint));
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO would wait for its writer
  if (descriptor < 0) {
    throw_read_error(path, errno);
  }
  struct stat info {};
  const bool is_known = ::fstat(descriptor, &info) == 0;
  if (!is_known || !S_ISREG(info.st_mode)) {
    const int error_number = !is_known ? errno : (S_ISDIR(info.st_mode) ? EISDIR : EINVAL);
    ::close(descriptor);
    if (error_number == EINVAL) {
      throw DataError(cat(path.string(), ": not a regular file"));
    }
    throw_read_error(path, error_number);
  }
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int error_number = errno;
    ::close(descriptor);
    if (address == MAP_FAILED) {
      throw_read_error(path, error_number);
    }
    data_ = static_cast<const std::byte*>(address);
  } else {
    ::close(descriptor);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<std::byte*>(data_), size_);
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code ignored;
  if (std::filesystem::exists(path_, ignored) && !std::filesystem::is_regular_file(path_, ignored) &&
      !std::filesystem::is_directory(path_, ignored)) {  // a device or pipe would become a file
    throw ResourceError(cat("cannot write ", path_.string(), ": it is no file; choose another name"));
  }
  if (!path_.parent_path().empty()) {
    make_writable_directory(path_.parent_path());
  }
  temporary_ = path_;
  temporary_ += cat(kTemporaryMark, ::getpid());
  descriptor_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    throw_write_error(path_, errno);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::fail(int error_number) const { throw_write_error(path_, error_number); }

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (const int error_number = write_fully(descriptor_, bytes); error_number != 0) {
    fail(error_number);
  }
  size_bytes_ += bytes.size();
}

void AtomicFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  BC_CHECK(offset + bytes.size() <= size_bytes_);
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno != EINTR) {
      fail(errno);
    }
    const auto done = static_cast<size_t>(std::max<ssize_t>(written, 0));
    offset += done;
    bytes = bytes.subspan(done);
  }
}

void AtomicFile::commit(Durability durability) {
  BC_CHECK(descriptor_ >= 0);
  if (durability == Durability::kOnDisk && ::fsync(descriptor_) != 0) {
    fail(errno);
  }
  if (::close(std::exchange(descriptor_, -1)) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(temporary_.c_str());
    fail(error_number);
  }
  if (durability == Durability::kOnDisk) {
    sync_directory(path_.parent_path());
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content, Durability durability) {
  AtomicFile file(path);
  file.write(content);
  file.commit(durability);
}

std::string read_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  return std::string(file.text());
}

void remove_stale_temporaries(const std::filesystem::path& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename().string();
    const size_t mark = name.rfind(kTemporaryMark);
    const bool is_link = entry.is_symlink(ignored) && name.starts_with(".") && name.ends_with(kTemporaryLinkEnd);
    if (is_link || (mark != std::string::npos && parse_int(std::string_view(name).substr(mark + 5)))) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

void replace_link(const std::filesystem::path& link, const std::filesystem::path& target) {
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::symlink_status(link, error)) && !std::filesystem::is_symlink(link)) {
    return;
  }
  const std::filesystem::path temporary = link.parent_path() / cat(".", link.filename().string(), kTemporaryLinkEnd);
  std::filesystem::remove(temporary, error);
  std::filesystem::create_directory_symlink(target, temporary, error);
  if (!error) {
    std::filesystem::rename(temporary, link, error);
  }
}

void replace_folder(const std::filesystem::path& made, const std::filesystem::path& place) {
  if (::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) {
    return;
  }
  const bool can_exchange = errno != EINVAL && errno != ENOSYS;
  if (can_exchange || !std::filesystem::exists(place)) {
    std::filesystem::rename(made, place);
    return;
  }
  const std::filesystem::path aside = cat(made.string(), "-replaced");
  std::filesystem::remove_all(aside);
  std::filesystem::rename(place, aside);
  std::filesystem::rename(made, place);
  std::filesystem::rename(aside, made);
}

void sync_directory(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    ::fsync(descriptor);  // not every file system can; the rename itself is atomic either way
    ::close(descriptor);
  }
}

void sync_filesystem(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int error_number = descriptor < 0 || ::syncfs(descriptor) != 0 ? errno : 0;
  if (descriptor >= 0) {
    ::close(descriptor);
  }
  if (error_number != 0) {
    throw_write_error(directory, error_number);
  }
}

void make_writable_directory(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw_write_error(directory, error.value());
  }
  if (::access(directory.c_str(), W_OK) != 0) {
    throw_write_error(directory, errno);
  }
}

DirectoryLock::DirectoryLock(const std::filesystem::path& directory, const std::string& purpose) {
  const auto path = directory / ".lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    throw_write_error(path, errno);
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      const int error_number = errno;
      ::close(std::exchange(descriptor_, -1));
      throw_write_error(path, error_number);  // a file system without locks
    }
    std::string owner(32, '\0');
    const ssize_t count = ::pread(descriptor_, owner.data(), owner.size(), 0);
    owner.resize(count > 0 ? static_cast<size_t>(count) : 0);
    ::close(std::exchange(descriptor_, -1));
    throw ResourceError(cat(purpose, ": ", directory.string(), " is in use by another bertcram process",
                            owner.empty() ? "" : " (pid " + owner + ")",
                            "; wait for it, stop it, or choose another output folder"));
  }
  const std::string owner = std::to_string(::getpid());
  if (::ftruncate(descriptor_, 0) == 0) {
    [[maybe_unused]] const ssize_t ignored = ::pwrite(descriptor_, owner.data(), owner.size(), 0);
  }
}

DirectoryLock::~DirectoryLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

}  // namespace bertcram::util
