#include "bertcram/text/spm_model.h"

#include <cmath>

#include "bertcram/text/char_map.h"
#include "bertcram/text/vocabulary.h"
#include "bertcram/util/error.h"
#include "wire_reader.h"

namespace bertcram::text {
namespace {

[[noreturn]] void fail(const std::string& origin, const std::string& reason) {
  throw DataError(cat(origin, ": no SentencePiece model (", reason,
                      "); the file is damaged, cut off or of another kind, fetch or train it again"));
}

/// Calls `take` for every field of a message.
template <class Take>
void for_each_field(std::string_view message, const std::string& origin, Take take) {
  WireReader reader(message);
  while (const auto field = reader.next()) {
    take(*field);
  }
  if (reader.damaged()) {
    fail(origin, "its fields do not add up");
  }
}

SpmPiece parse_piece(std::string_view message, const std::string& origin) {
  SpmPiece piece;
  uint64_t type = static_cast<uint64_t>(SpmPieceType::kNormal);
  for_each_field(message, origin, [&](const WireField& field) {
    if (field.number == 1) {
      piece.text = field.bytes;
    } else if (field.number == 2 && field.kind == WireField::Kind::kFixed32) {
      piece.score = field.as_float();
    } else if (field.number == 3) {
      type = field.value;
    }
  });
  if (type < 1 || type > 6) {
    fail(origin, cat("a piece has the type ", type, ", expected 1 to 6"));
  }
  if (!std::isfinite(piece.score)) {
    fail(origin, "a piece has a score that is not finite");
  }
  piece.type = static_cast<SpmPieceType>(type);
  return piece;
}

void parse_trainer(std::string_view message, SpmModel& model, const std::string& origin) {
  uint64_t type = static_cast<uint64_t>(SpmModelType::kUnigram);
  for_each_field(message, origin, [&](const WireField& field) {
    if (field.number == 3) {
      type = field.value;
    } else if (field.number == 24) {
      model.whitespace_suffix = field.value != 0;
    } else if (field.number == 35) {
      model.byte_fallback = field.value != 0;
    }
  });
  if (type < 1 || type > 4) {
    fail(origin, cat("model type ", type, ", expected 1 to 4"));
  }
  model.type = static_cast<SpmModelType>(type);
}

void parse_normalizer(std::string_view message, SpmModel& model, const std::string& origin) {
  for_each_field(message, origin, [&](const WireField& field) {
    if (field.number == 2) {
      model.charsmap = field.bytes;
    } else if (field.number == 3) {
      model.add_dummy_prefix = field.value != 0;
    } else if (field.number == 4) {
      model.remove_extra_whitespaces = field.value != 0;
    } else if (field.number == 5) {
      model.escape_whitespaces = field.value != 0;
    }
  });
}

/// What the library takes for granted, or would say in its own words.
void check(SpmModel& model, const std::string& origin) {
  int64_t unknowns = 0;
  std::vector<std::string> tokens;
  tokens.reserve(model.pieces.size());
  for (const SpmPiece& piece : model.pieces) {
    if (piece.type == SpmPieceType::kUnknown) {
      model.unk_id = static_cast<int32_t>(tokens.size());
      ++unknowns;
    }
    tokens.push_back(piece.text);
  }
  if (unknowns != 1) {
    fail(origin, cat(unknowns, " pieces for unknown text among ", model.pieces.size(), ", expected one"));
  }
  const Vocabulary all_different(std::move(tokens), origin);
  const CharMap readable(model.charsmap, origin);
}

}  // namespace

SpmModel parse_spm_model(std::string_view bytes, const std::string& origin) {
  SpmModel model;
  bool has_trainer = false;
  bool has_normalizer = false;
  for_each_field(bytes, origin, [&](const WireField& field) {
    if (field.number == 1) {
      model.pieces.push_back(parse_piece(field.bytes, origin));
    } else if (field.number == 2) {
      parse_trainer(field.bytes, model, origin);
      has_trainer = true;
    } else if (field.number == 3) {
      parse_normalizer(field.bytes, model, origin);
      has_normalizer = true;
    }
  });
  if (model.pieces.empty() || !has_trainer || !has_normalizer) {
    fail(origin, cat("it has ", model.pieces.size(), " pieces, ", has_trainer ? "a" : "no", " trainer part and ",
                     has_normalizer ? "a" : "no", " normaliser part"));
  }
  check(model, origin);
  return model;
}

}  // namespace bertcram::text
