#include "decompressor.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "bertcram/util/error.h"

namespace bertcram::data {
namespace {

constexpr int kMaxZstdWindowLog = 31;  // whatever `zstd --long` can make
constexpr uint64_t kMaxXzMemory = uint64_t{2} << 30;
constexpr int kGzipOnly = 15 + 16;  // inflateInit2: the largest window, with a gzip header
constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kXzMagic("\xfd\x37\x7a\x58\x5a\x00", 6);
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
// A skippable frame, with which pzstd begins: 0x50 to 0x5F, then this (RFC 8878, 3.1.2).
constexpr std::string_view kSkippableMagicEnd = "\x2a\x4d\x18";

bool is_zstd(std::string_view head) {
  return head.starts_with(kZstdMagic) ||
         (head.size() >= kZstdMagic.size() && (static_cast<unsigned char>(head[0]) >> 4) == 5 &&
          head.substr(1).starts_with(kSkippableMagicEnd));
}

size_t leading_zeros(std::span<const char> bytes) {
  return static_cast<size_t>(std::ranges::find_if(bytes, [](char c) { return c != '\0'; }) - bytes.begin());
}

/// Members of `Stream`, which zeros may separate: xz pads its streams with them, tapes and block devices any file.
template <class Stream>
class Members : public Decompressor {
 public:
  Step decode(std::span<const char> in, std::span<char> out) override {
    if (in.empty() && !inside_) {
      return {};
    }
    if (!inside_) {
      if (const size_t padding = leading_zeros(in); padding > 0) {
        return {.consumed = padding, .produced = 0, .error = {}};
      }
      stream_.begin();
      inside_ = true;
    }
    bool at_end = false;
    Step step = stream_.decode(in, out, at_end);
    inside_ = !at_end;
    return step;
  }
  bool may_end() const override { return !inside_; }

 private:
  Stream stream_;
  bool inside_ = false;
};

class GzipStream {
 public:
  GzipStream() {
    if (inflateInit2(&state_, kGzipOnly) != Z_OK) {
      throw ResourceError("no memory to decompress gzip");
    }
  }
  ~GzipStream() { inflateEnd(&state_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  void begin() { inflateReset(&state_); }
  Decompressor::Step decode(std::span<const char> in, std::span<char> out, bool& at_end) {
    state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));  // zlib only reads it
    state_.avail_in = static_cast<uInt>(in.size());
    state_.next_out = reinterpret_cast<Bytef*>(out.data());
    state_.avail_out = static_cast<uInt>(out.size());
    const int result = inflate(&state_, Z_NO_FLUSH);
    at_end = result == Z_STREAM_END;
    const bool is_fine = result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
    const char* const reason = state_.msg != nullptr ? state_.msg : "not a gzip member";
    return {.consumed = in.size() - state_.avail_in,
            .produced = out.size() - state_.avail_out,
            .error = is_fine ? "" : cat("damaged gzip data (", reason, ")")};
  }

 private:
  z_stream state_{};
};

class XzStream {
 public:
  XzStream() = default;
  ~XzStream() { lzma_end(&state_); }
  XzStream(const XzStream&) = delete;
  XzStream& operator=(const XzStream&) = delete;

  void begin() {
    if (lzma_stream_decoder(&state_, kMaxXzMemory, 0) != LZMA_OK) {
      throw ResourceError("no memory to decompress xz");
    }
  }
  Decompressor::Step decode(std::span<const char> in, std::span<char> out, bool& at_end) {
    state_.next_in = reinterpret_cast<const uint8_t*>(in.data());
    state_.avail_in = in.size();
    state_.next_out = reinterpret_cast<uint8_t*>(out.data());
    state_.avail_out = out.size();
    const lzma_ret result = lzma_code(&state_, LZMA_RUN);
    at_end = result == LZMA_STREAM_END;
    return {.consumed = in.size() - state_.avail_in, .produced = out.size() - state_.avail_out, .error = error(result)};
  }

 private:
  static std::string error(lzma_ret result) {
    switch (result) {
      case LZMA_OK:
      case LZMA_STREAM_END:
      case LZMA_BUF_ERROR: return "";
      case LZMA_MEM_ERROR: throw ResourceError("no memory to decompress xz");
      case LZMA_MEMLIMIT_ERROR:
        return cat("its dictionary needs more than ", kMaxXzMemory >> 30, " GiB; compress it again with a smaller one");
      case LZMA_FORMAT_ERROR: return "damaged xz data (no xz stream)";
      case LZMA_OPTIONS_ERROR: return "xz data with options that are not known here";
      default: return "damaged xz data";
    }
  }

  lzma_stream state_ = LZMA_STREAM_INIT;
};

class ZstdStream {
 public:
  ZstdStream() : context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
    if (!context_) {
      throw ResourceError("no memory to decompress zstd");
    }
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }

  void begin() {}  // the context begins a frame by itself
  Decompressor::Step decode(std::span<const char> in, std::span<char> out, bool& at_end) {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const size_t result = ZSTD_decompressStream(context_.get(), &output, &input);
    const bool is_damaged = ZSTD_isError(result) != 0;
    at_end = result == 0;
    return {.consumed = input.pos,
            .produced = output.pos,
            .error = is_damaged ? cat("damaged zstd data (", ZSTD_getErrorName(result), ")") : ""};
  }

 private:
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
};

}  // namespace

std::unique_ptr<Decompressor> decompressor_for(std::string_view head) {
  if (head.starts_with(kGzipMagic)) {
    return std::make_unique<Members<GzipStream>>();
  }
  if (head.starts_with(kXzMagic)) {
    return std::make_unique<Members<XzStream>>();
  }
  if (is_zstd(head)) {
    return std::make_unique<Members<ZstdStream>>();
  }
  return nullptr;
}

}  // namespace bertcram::data
