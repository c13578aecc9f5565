#include "bertcram/data/byte_source.h"

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "bertcram/util/error.h"

namespace bertcram::data {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 18;
constexpr int kMaxWindowLog = 31;  // whatever `zstd --long` can make
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
// A skippable frame, with which pzstd begins: 0x50 to 0x5F, then this (RFC 8878, 3.1.2).
constexpr std::string_view kSkippableMagicEnd = "\x2a\x4d\x18";

bool is_zstd(std::string_view head) {
  return head == kZstdMagic || (head.size() == kZstdMagic.size() && (static_cast<unsigned char>(head[0]) >> 4) == 5 &&
                                head.substr(1) == kSkippableMagicEnd);
}

/// The file as it is.
class PlainSource : public ByteSource {
 public:
  PlainSource(const std::filesystem::path& path, const util::StopFlag* stop) : name_(path.string()), stop_(stop) {
    descriptor_ = name_ == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
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
        throw util::StoppedError(*stop_, cat("stopped while reading ", name_));
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
  explicit PeekedSource(std::unique_ptr<PlainSource> inner) : inner_(std::move(inner)), head_(kZstdMagic.size()) {
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
      // More than these few bytes: the reader judges by the first read whether this is text.
      return count + (count < buffer.size() ? inner_->read(buffer.subspan(count)) : 0);
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

/// One or more zstd frames, long windows included.
class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<PeekedSource> inner)
      : inner_(std::move(inner)), context_(ZSTD_createDCtx(), &ZSTD_freeDCtx), compressed_(kChunkBytes) {
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  }

  size_t read(std::span<char> buffer) override {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    while (out.pos == 0) {
      if (input_.pos == input_.size && !refill()) {
        if (inside_frame_) {
          fail("the file ends inside a compressed frame; is it truncated? Fetch or copy it again");
        }
        return 0;
      }
      const size_t result = ZSTD_decompressStream(context_.get(), &out, &input_);
      if (ZSTD_isError(result) != 0) {
        fail(cat("damaged zstd data (", ZSTD_getErrorName(result), "); fetch or copy it again"));
      }
      inside_frame_ = result != 0;
    }
    return out.pos;
  }
  int64_t file_bytes() const override { return inner_->file_bytes(); }
  util::Hash128 file_hash() const override { return inner_->file_hash(); }

 private:
  bool refill() {
    input_ = {compressed_.data(), inner_->read(compressed_), 0};
    return input_.size > 0;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(cat(inner_->name(), " near byte ", inner_->file_bytes(), ": ", what));
  }

  std::unique_ptr<PeekedSource> inner_;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  std::vector<char> compressed_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool inside_frame_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_byte_source(const std::filesystem::path& path, const util::StopFlag* stop) {
  if (std::filesystem::is_directory(path)) {
    throw DataError(cat(path.string(), " is a folder, expected a file"));
  }
  auto peeked = std::make_unique<PeekedSource>(std::make_unique<PlainSource>(path, stop));
  if (is_zstd(peeked->head())) {
    return std::make_unique<ZstdSource>(std::move(peeked));
  }
  return peeked;
}

}  // namespace bertcram::data
