#include "bertcram/data/byte_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "bertcram/util/error.h"
#include "decompressor.h"

namespace bertcram::data {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 18;

[[noreturn]] void throw_stopped(const std::string& name, const util::StopFlag& stop) {
  throw util::StoppedError(stop, cat("stopped while reading ", name));
}

/// Opens a file to read; for a pipe waits until there is something to read, or it has had a writer. To open one blocks until it has
/// a writer, which no signal ends (its handler restarts that), so it is opened without blocking. It does not count as ended
/// before its first writer (Linux: pipe_poll).
/// @return -1 with errno set if it cannot be opened  @throws util::StoppedError
int open_to_read(const std::filesystem::path& path, const util::StopFlag* stop) {
  std::error_code ignored;
  if (stop == nullptr || !std::filesystem::is_fifo(path, ignored)) {
    return ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  }
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor >= 0) {
    if (!util::wait_readable(descriptor, *stop)) {
      ::close(descriptor);
      throw_stopped(path.string(), *stop);
    }
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
  }
  return descriptor;
}

/// The file as it is.
class PlainSource : public ByteSource {
 public:
  PlainSource(const std::filesystem::path& path, const util::StopFlag* stop) : name_(path.string()), stop_(stop) {
    descriptor_ = name_ == "-" ? ::dup(STDIN_FILENO) : open_to_read(path, stop);
    if (descriptor_ < 0) {
      throw DataError(cat("cannot read ", name_, ": ", std::strerror(errno)));
    }
  }
  ~PlainSource() override { ::close(descriptor_); }
  PlainSource(const PlainSource&) = delete;
  PlainSource& operator=(const PlainSource&) = delete;

  size_t read(std::span<char> buffer) override {
    while (true) {
      if (stop_ != nullptr && !util::wait_readable(descriptor_, *stop_)) {
        throw_stopped(name_, *stop_);
      }
      const ssize_t count = ::read(descriptor_, buffer.data(), buffer.size());
      if (count >= 0) {
        const auto bytes = static_cast<size_t>(count);
        hash_.update(std::string_view(buffer.data(), bytes));
        bytes_ += count;
        return bytes;
      }
      if (errno != EINTR) {
        throw DataError(cat("cannot read ", name_, " at byte ", bytes_, ": ", std::strerror(errno)));
      }
    }
  }
  int64_t file_bytes() const override { return bytes_; }
  util::Hash128 file_hash() const override { return hash_.digest128(); }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  const util::StopFlag* stop_;
  int descriptor_ = -1;
  int64_t bytes_ = 0;
  util::StreamHash hash_;
};

/// Looks at the first bytes without losing them.
class PeekedSource : public ByteSource {
 public:
  explicit PeekedSource(std::unique_ptr<PlainSource> inner) : inner_(std::move(inner)), head_(kCompressionMagicBytes) {
    while (head_size_ < head_.size()) {
      const size_t count = inner_->read(std::span(head_).subspan(head_size_));
      if (count == 0) {
        break;
      }
      head_size_ += count;
    }
  }
  std::string_view head() const { return {head_.data(), head_size_}; }
  const std::string& name() const { return inner_->name(); }

  size_t read(std::span<char> buffer) override {
    if (head_at_ < head_size_) {
      const size_t count = std::min(buffer.size(), head_size_ - head_at_);
      std::memcpy(buffer.data(), head_.data() + head_at_, count);
      head_at_ += count;
      return count;
    }
    return inner_->read(buffer);
  }
  int64_t file_bytes() const override { return inner_->file_bytes(); }
  util::Hash128 file_hash() const override { return inner_->file_hash(); }

 private:
  std::unique_ptr<PlainSource> inner_;
  std::vector<char> head_;
  size_t head_size_ = 0;
  size_t head_at_ = 0;
};

/// What a compressed file holds.
class CompressedSource : public ByteSource {
 public:
  CompressedSource(std::unique_ptr<PeekedSource> inner, std::unique_ptr<Decompressor> decompressor)
      : inner_(std::move(inner)), decompressor_(std::move(decompressor)), buffer_(kChunkBytes) {}

  size_t read(std::span<char> buffer) override {
    while (true) {
      if (input_.empty() && !has_more_) {
        input_ = std::span(buffer_).first(inner_->read(buffer_));
        if (input_.empty()) {
          if (!decompressor_->may_end()) {
            fail("the file ends inside compressed data, it is truncated");
          }
          return 0;
        }
      }
      const Decompressor::Step step = decompressor_->decode(input_, buffer);
      if (!step.error.empty()) {
        fail(step.error);
      }
      input_ = input_.subspan(step.consumed);
      has_more_ = step.produced == buffer.size() && !decompressor_->may_end();
      if (step.produced > 0) {
        return step.produced;
      }
    }
  }
  int64_t file_bytes() const override { return inner_->file_bytes(); }
  util::Hash128 file_hash() const override { return inner_->file_hash(); }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(cat(inner_->name(), " near byte ", inner_->file_bytes(), ": ", what, "; fetch or copy it again"));
  }

  std::unique_ptr<PeekedSource> inner_;
  std::unique_ptr<Decompressor> decompressor_;
  std::vector<char> buffer_;
  std::span<const char> input_;  ///< of buffer_, not decoded yet
  bool has_more_ = false;        ///< the decoder may hold output for which there was no room
};

}  // namespace

std::unique_ptr<ByteSource> open_byte_source(const std::filesystem::path& path, const util::StopFlag* stop) {
  if (std::filesystem::is_directory(path)) {
    throw DataError(cat(path.string(), " is a folder, expected a file"));
  }
  auto peeked = std::make_unique<PeekedSource>(std::make_unique<PlainSource>(path, stop));
  if (auto decompressor = decompressor_for(peeked->head())) {
    return std::make_unique<CompressedSource>(std::move(peeked), std::move(decompressor));
  }
  return peeked;
}

}  // namespace bertcram::data
