#include "file_view.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace bertcram::monitor {

namespace fs = std::filesystem;

bool lies_within(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

FileView::FileView(const fs::path& path, const fs::path& within)
    : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {  // a pipe without a writer would block
  struct stat facts {};
  if (number_ < 0) {
    return;
  }
  if (::fstat(number_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    close();
    return;
  }
  if (!within.empty()) {
    // Asked of what is open already: a link that changes meanwhile gains nothing.
    std::error_code error;
    const fs::path real = fs::read_symlink("/proc/self/fd/" + std::to_string(number_), error);
    if (error || !lies_within(real, within)) {
      close();
    }
  }
}

FileView::~FileView() { close(); }

void FileView::close() {
  if (number_ >= 0) {
    ::close(number_);
    number_ = -1;
  }
}

int64_t FileView::size() const {
  struct stat facts {};
  return ::fstat(number_, &facts) == 0 ? facts.st_size : 0;
}

FileStamp FileView::stamp() const {
  struct stat facts {};
  if (!is_open() || ::fstat(number_, &facts) != 0) {
    return {};
  }
  return {.size = facts.st_size,
          .modified_ns = facts.st_mtim.tv_sec * 1'000'000'000 + facts.st_mtim.tv_nsec,
          .inode = facts.st_ino};
}

std::string FileView::read(int64_t place, size_t bytes) const {
  std::string text(bytes, '\0');
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got = ::pread(number_, text.data() + done, bytes - done, place + static_cast<int64_t>(done));
    if (got <= 0) {
      break;
    }
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

}  // namespace bertcram::monitor
