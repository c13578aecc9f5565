#pragma once
// SentencePiece models written by hand, byte by byte as protocol buffers have it.

#include <bit>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/text/spm_model.h"
#include "bertcram/text/tokenizer.h"

namespace bertcram::text {

inline std::string wire_varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) {
    out += static_cast<char>(value | 0x80);
  }
  return out += static_cast<char>(value);
}

inline std::string wire_number(uint64_t field, uint64_t value) { return wire_varint(field << 3) + wire_varint(value); }

inline std::string wire_bytes(uint64_t field, std::string_view bytes) {
  return (wire_varint(field << 3 | 2) + wire_varint(bytes.size())).append(bytes);
}

inline std::string wire_float(uint64_t field, float value) {
  std::string out = wire_varint(field << 3 | 5);
  for (uint32_t bits = std::bit_cast<uint32_t>(value), i = 0; i < 4; ++i, bits >>= 8) {
    out += static_cast<char>(bits & 0xFF);
  }
  return out;
}

/// The bytes of a model.
inline std::string spm_bytes(const SpmModel& model) {
  std::string out;
  for (const SpmPiece& piece : model.pieces) {
    out += wire_bytes(
        1, wire_bytes(1, piece.text) + wire_float(2, piece.score) + wire_number(3, static_cast<uint64_t>(piece.type)));
  }
  out += wire_bytes(2, wire_number(3, static_cast<uint64_t>(model.type)) + wire_number(24, model.whitespace_suffix) +
                           wire_number(35, model.byte_fallback) + wire_number(40, static_cast<uint64_t>(model.unk_id)));
  out += wire_bytes(3, wire_bytes(2, model.charsmap) + wire_number(3, model.add_dummy_prefix) +
                           wire_number(4, model.remove_extra_whitespaces) + wire_number(5, model.escape_whitespaces));
  return out;
}

/// A unigram model with [PAD] [UNK] [CLS] [SEP] [MASK] as ids 0 to 4 and `pieces` behind them.
inline SpmModel spm_with(std::vector<SpmPiece> pieces) {
  SpmModel model;
  model.pieces = {{"[PAD]", 0, SpmPieceType::kControl},
                  {"[UNK]", 0, SpmPieceType::kUnknown},
                  {"[CLS]", 0, SpmPieceType::kControl},
                  {"[SEP]", 0, SpmPieceType::kControl},
                  {"[MASK]", 0, SpmPieceType::kControl}};
  model.pieces.insert(model.pieces.end(), pieces.begin(), pieces.end());
  model.unk_id = 1;
  return model;
}

/// "▁" 5, a 6, b 7, ab 8, ▁ab 9, "[" 10, M 11.
inline SpmModel small_spm() {
  const SpmPieceType normal = SpmPieceType::kNormal;
  return spm_with({{"▁", -2, normal},
                   {"a", -3, normal},
                   {"b", -3.5, normal},
                   {"ab", -4, normal},
                   {"▁ab", -5, normal},
                   {"[", -6, normal},
                   {"M", -6.5, normal}});
}

inline std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options = {}) {
  std::vector<int32_t> ids;
  tokenizer.encode(text, ids, options);
  return ids;
}

inline constexpr EncodeOptions kPlain = {.special_in_text = SpecialInText::kPlainText};

}  // namespace bertcram::text
