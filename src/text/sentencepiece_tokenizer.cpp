#include "bertcram/text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <nlohmann/json.hpp>

#include "bertcram/text/special_roles.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "sentencepiece_log.h"

namespace bertcram::text {
namespace {

std::vector<std::string> texts_of(const SpmModel& model) {
  std::vector<std::string> texts;
  texts.reserve(model.pieces.size());
  for (const SpmPiece& piece : model.pieces) {
    texts.push_back(piece.text);
  }
  return texts;
}

LiteralTokens literals_of(const SpmModel& model) {
  std::vector<LiteralTokens::Token> tokens;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SpmPiece& piece = model.pieces[id];
    if (piece.type == SpmPieceType::kControl || piece.type == SpmPieceType::kUnknown) {
      tokens.push_back({piece.text, static_cast<int32_t>(id)});
    }
  }
  return LiteralTokens(std::move(tokens));
}

}  // namespace

class SentencePieceTokenizer::Library {
 public:
  Library(const std::string& bytes, const SpmModel& model, const std::string& origin) {
    silence_sentencepiece();
    bool is_ok = false;
    try {
      is_ok = processor_.LoadFromSerializedProto(bytes).ok() &&
              processor_.GetPieceSize() == static_cast<int>(model.pieces.size());
    } catch (const std::exception&) {
      is_ok = false;
    }
    if (!is_ok) {
      throw DataError(cat(origin,
                          ": the SentencePiece library does not take this model; the file is damaged, fetch or "
                          "train it again"));
    }
  }

  /// Const calls only after loading: these may run in many threads.
  const sentencepiece::SentencePieceProcessor& processor() const { return processor_; }

 private:
  sentencepiece::SentencePieceProcessor processor_;
};

SentencePieceTokenizer::SentencePieceTokenizer(std::string bytes, std::string origin)
    : SentencePieceTokenizer(parse_spm_model(bytes, origin), std::move(bytes), std::move(origin)) {}

SentencePieceTokenizer::SentencePieceTokenizer(const SpmModel& model, std::string&& bytes, std::string&& origin)
    : bytes_(std::move(bytes)),
      origin_(std::move(origin)),
      vocabulary_(texts_of(model), origin_),
      library_(std::make_unique<Library>(bytes_, model, origin_)),
      literals_(literals_of(model)),
      roles_(roles_of(model)),
      special_(unsayable_in_json(model) ? std::nullopt : complete(roles_)),
      fingerprint_(util::hash128("sentencepiece 1\n" + bytes_).hex()) {}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

const SpecialTokens& SentencePieceTokenizer::special() const {
  if (!special_) {
    subword_json(parse_spm_model(bytes_, origin_), roles_, origin_);  // what needs them, saves the tokenizer later
    throw_missing_roles(origin_, roles_, "");
  }
  return *special_;
}

void SentencePieceTokenizer::encode_part(std::string_view text, std::vector<int32_t>& ids) const {
  std::vector<int> found;
  const bool is_ok = library_->processor().Encode(text, &found).ok();
  BC_CHECK(is_ok, "SentencePiece cannot encode");
  ids.insert(ids.end(), found.begin(), found.end());
}

void SentencePieceTokenizer::encode(std::string_view text, std::vector<int32_t>& ids,
                                    const EncodeOptions& options) const {
  std::string repaired;
  if (count_invalid_utf8(text) > 0) {
    repaired = repair_utf8(text);
    text = repaired;
  }
  size_t at = 0;
  while (options.special_in_text == SpecialInText::kRecognise) {
    const std::optional<LiteralTokens::Match> match = literals_.find(text, at);
    if (!match) {
      break;
    }
    encode_part(text.substr(at, match->begin_bytes - at), ids);
    ids.push_back(match->id);
    at = match->begin_bytes + match->size_bytes;
  }
  encode_part(text.substr(at), ids);
}

std::string SentencePieceTokenizer::decode(std::span<const int32_t> ids) const {
  return join_metaspace_pieces(*this, ids);
}

void SentencePieceTokenizer::save(const std::filesystem::path& directory, const ModelInput& input) const {
  write_sentencepiece_directory(*this, bytes_, origin_, directory, input);
}

}  // namespace bertcram::text
