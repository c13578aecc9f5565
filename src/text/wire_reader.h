#pragma once
// The wire format of protocol buffers: enough to walk over a message field by field.

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace bertcram::text {

/// One field: a number (varint or 4 bytes) or bytes.
struct WireField {
  uint64_t number = 0;
  uint64_t value = 0;      ///< varint and fixed-width fields
  std::string_view bytes;  ///< length-delimited fields
  enum class Kind { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 } kind = Kind::kVarint;

  float as_float() const { return std::bit_cast<float>(static_cast<uint32_t>(value)); }
};

/// Walks over the fields of a message. Never reads outside it.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  /// The next field; nullopt at the end, or with damaged() where the bytes are no message.
  std::optional<WireField> next() {
    WireField field;
    uint64_t key = 0;
    if (rest_.empty() || !take_varint(key)) {
      return std::nullopt;
    }
    field.number = key >> 3;
    field.kind = static_cast<WireField::Kind>(key & 7);
    switch (field.kind) {
      case WireField::Kind::kVarint: return take_varint(field.value) ? std::optional(field) : std::nullopt;
      case WireField::Kind::kFixed64: return take_fixed(8, field.value) ? std::optional(field) : std::nullopt;
      case WireField::Kind::kFixed32: return take_fixed(4, field.value) ? std::optional(field) : std::nullopt;
      case WireField::Kind::kBytes:
        return take_varint(field.value) && take_bytes(field.value, field.bytes) ? std::optional(field) : std::nullopt;
    }
    damaged_ = true;
    return std::nullopt;
  }

  bool damaged() const { return damaged_; }

 private:
  bool take_varint(uint64_t& value) {
    value = 0;
    for (uint32_t shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7Fu) << shift;
      if (byte < 0x80) {
        return true;
      }
    }
    damaged_ = true;
    return false;
  }

  bool take_fixed(size_t size, uint64_t& value) {
    std::string_view bytes;
    if (!take_bytes(size, bytes)) {
      return false;
    }
    value = 0;
    for (size_t i = size; i > 0; --i) {
      value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
    }
    return true;
  }

  bool take_bytes(uint64_t size, std::string_view& bytes) {
    if (size > rest_.size()) {
      damaged_ = true;
      return false;
    }
    bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
  bool damaged_ = false;
};

}  // namespace bertcram::text
