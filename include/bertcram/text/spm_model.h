#pragma once
// What a SentencePiece model file holds, read without the library: the library shows no scores, types or normaliser,
// and trusts its input where a damaged file could lead it astray.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bertcram::text {

/// Numbers as in SentencePiece's ModelProto.
enum class SpmPieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
enum class SpmModelType { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };

struct SpmPiece {
  std::string text;
  float score = 0;  ///< unigram: log-probability; BPE: minus the rank
  SpmPieceType type = SpmPieceType::kNormal;
};

struct SpmModel {
  std::vector<SpmPiece> pieces;  ///< in id order; all different
  int32_t unk_id = 0;            ///< of the one unknown piece
  SpmModelType type = SpmModelType::kUnigram;
  bool byte_fallback = false;
  bool whitespace_suffix = false;  ///< "▁" ends words instead of beginning them
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  std::string charsmap;  ///< for CharMap; empty = text stays as it is
};

/// Reads a serialised ModelProto. Every length is checked, the character map too.
/// @param origin what to name in errors
/// @throws DataError if it is damaged, cut off, or no such model
SpmModel parse_spm_model(std::string_view bytes, const std::string& origin);

}  // namespace bertcram::text
