// Test tool, preloaded (LD_PRELOAD) into bertcram: counts the calls that change files, and raises a signal at one of
// them, so that a crash test does not depend on time. Standard input, output and error are not counted.
//   BERTCRAM_CALLS=GLOB         counts only calls that match, e.g. 'rename */results.json' (fnmatch; default: all)
//   BERTCRAM_KILL_AT=N          raises the signal just before the Nth of them, which follows if the process survives
//   BERTCRAM_KILL_SIGNAL=S      its number (default 9, SIGKILL)
//   BERTCRAM_COUNT_CALLS=FILE   writes a line 'name path' for each; the number of lines is the count
// Calls of the C library to itself are not seen, hence the entries for stdio and remove().

#include <dlfcn.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

/// What the environment asks for.
struct Plan {
  const char* pattern = std::getenv("BERTCRAM_CALLS");
  long kill_at = number("BERTCRAM_KILL_AT", 0);
  int signal_number = static_cast<int>(number("BERTCRAM_KILL_SIGNAL", SIGKILL));
  long record = -1;  ///< descriptor
  std::atomic<long> calls = 0;

  Plan() {
    if (const char* file = std::getenv("BERTCRAM_COUNT_CALLS")) {
      record = ::syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
      if (record < 0) {
        std::abort();
      }
    }
  }

  static long number(const char* name, long otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtol(text, nullptr, 10);
  }
};

Plan& plan() {
  static Plan instance;
  return instance;
}

[[gnu::constructor]] void read_plan() { plan(); }

/// A call that changes a file is about to be made.
void count(const char* name, const char* path) {
  const int error_number = errno;
  Plan& asked = plan();
  const std::string call = std::string(name) + " " + (path == nullptr ? "" : path);
  if (asked.pattern == nullptr || ::fnmatch(asked.pattern, call.c_str(), 0) == 0) {
    const long number = ++asked.calls;
    if (asked.record >= 0) {
      const std::string line = call + "\n";
      if (::syscall(SYS_write, asked.record, line.data(), line.size()) != static_cast<long>(line.size())) {
        std::abort();
      }
    }
    if (number == asked.kill_at) {
      std::raise(asked.signal_number);
    }
  }
  errno = error_number;
}

void count(const char* name, int descriptor) {
  if (descriptor <= STDERR_FILENO) {
    return;
  }
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size() - 1);
  count(name, length < 0 ? link.c_str() : path.data());
}

void count_open(const char* path, int flags) {
  if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0) {
    count("open", path);
  }
}

void count_fopen(const char* path, const char* mode) {
  if (std::strpbrk(mode, "wa+") != nullptr) {
    count("open", path);
  }
}

/// The function that would have been called without this library.
template <class Function>
Function* next(const char* name, Function* /*of the same type*/) {
  void* const found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) {
    std::abort();
  }
  return reinterpret_cast<Function*>(found);
}

/// The mode that follows the flags if a file may be created.
mode_t mode_argument(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

// ---- opening

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  count_open(path, flags);
  return next("open", ::open)(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  count_open(path, flags);
  return next("open64", ::open64)(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  count_open(path, flags);
  return next("openat", ::openat)(folder, path, flags, mode);
}

int openat64(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  count_open(path, flags);
  return next("openat64", ::openat64)(folder, path, flags, mode);
}

int creat(const char* path, mode_t mode) {
  count("open", path);
  return next("creat", ::creat)(path, mode);
}

int creat64(const char* path, mode_t mode) {
  count("open", path);
  return next("creat64", ::creat64)(path, mode);
}

FILE* fopen(const char* path, const char* mode) {
  count_fopen(path, mode);
  return next("fopen", ::fopen)(path, mode);
}

FILE* fopen64(const char* path, const char* mode) {
  count_fopen(path, mode);
  return next("fopen64", ::fopen64)(path, mode);
}

// ---- content

ssize_t write(int descriptor, const void* bytes, size_t size) {
  count("write", descriptor);
  return next("write", ::write)(descriptor, bytes, size);
}

ssize_t writev(int descriptor, const iovec* parts, int number) {
  count("write", descriptor);
  return next("writev", ::writev)(descriptor, parts, number);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  count("write", descriptor);
  return next("pwrite", ::pwrite)(descriptor, bytes, size, offset);
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t offset) {
  count("write", descriptor);
  return next("pwrite64", ::pwrite64)(descriptor, bytes, size, offset);
}

ssize_t pwritev(int descriptor, const iovec* parts, int number, off_t offset) {
  count("write", descriptor);
  return next("pwritev", ::pwritev)(descriptor, parts, number, offset);
}

ssize_t sendfile(int to, int from, off_t* offset, size_t size) noexcept {
  count("write", to);
  return next("sendfile", ::sendfile)(to, from, offset, size);
}

ssize_t sendfile64(int to, int from, off64_t* offset, size_t size) noexcept {
  count("write", to);
  return next("sendfile64", ::sendfile64)(to, from, offset, size);
}

ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size, unsigned flags) {
  count("write", to);
  return next("copy_file_range", ::copy_file_range)(from, from_offset, to, to_offset, size, flags);
}

int fflush(FILE* file) {
  if (file != nullptr) {
    count("write", ::fileno(file));
  }
  return next("fflush", ::fflush)(file);
}

int ftruncate(int descriptor, off_t size) noexcept {
  count("truncate", descriptor);
  return next("ftruncate", ::ftruncate)(descriptor, size);
}

int ftruncate64(int descriptor, off64_t size) noexcept {
  count("truncate", descriptor);
  return next("ftruncate64", ::ftruncate64)(descriptor, size);
}

int truncate(const char* path, off_t size) noexcept {
  count("truncate", path);
  return next("truncate", ::truncate)(path, size);
}

int truncate64(const char* path, off64_t size) noexcept {
  count("truncate", path);
  return next("truncate64", ::truncate64)(path, size);
}

int fsync(int descriptor) {
  count("sync", descriptor);
  return next("fsync", ::fsync)(descriptor);
}

int fdatasync(int descriptor) {
  count("sync", descriptor);
  return next("fdatasync", ::fdatasync)(descriptor);
}

// ---- names

int rename(const char* from, const char* to) noexcept {
  count("rename", to);
  return next("rename", ::rename)(from, to);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  count("rename", to);
  return next("renameat", ::renameat)(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  count("rename", to);
  return next("renameat2", ::renameat2)(from_folder, from, to_folder, to, flags);
}

int unlink(const char* path) noexcept {
  count("remove", path);
  return next("unlink", ::unlink)(path);
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  count("remove", path);
  return next("unlinkat", ::unlinkat)(folder, path, flags);
}

int rmdir(const char* path) noexcept {
  count("remove", path);
  return next("rmdir", ::rmdir)(path);
}

int remove(const char* path) noexcept {
  count("remove", path);
  return next("remove", ::remove)(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  count("mkdir", path);
  return next("mkdir", ::mkdir)(path, mode);
}

int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  count("mkdir", path);
  return next("mkdirat", ::mkdirat)(folder, path, mode);
}

int symlink(const char* to, const char* path) noexcept {
  count("link", path);
  return next("symlink", ::symlink)(to, path);
}

int symlinkat(const char* to, int folder, const char* path) noexcept {
  count("link", path);
  return next("symlinkat", ::symlinkat)(to, folder, path);
}

int link(const char* from, const char* to) noexcept {
  count("link", to);
  return next("link", ::link)(from, to);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  count("link", to);
  return next("linkat", ::linkat)(from_folder, from, to_folder, to, flags);
}

}  // extern "C"
