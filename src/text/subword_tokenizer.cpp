#include "bertcram/text/subword_tokenizer.h"

#include <algorithm>
#include <utility>

#include "bertcram/text/special_roles.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/text.h"
#include "bpe.h"
#include "hub_normalizer.h"
#include "unigram.h"
#include "white_space.h"

namespace bertcram::text {
namespace {

const std::vector<char> kNothingBarred;

std::vector<Bpe::Merge> joined_merges(const SubwordDefinition& definition, const Vocabulary& vocabulary,
                                      const std::string& origin) {
  std::vector<Bpe::Merge> merges;
  merges.reserve(definition.merges.size());
  for (const auto& [left, right] : definition.merges) {
    const std::string joined = vocabulary.token(left) + vocabulary.token(right);
    const auto id = vocabulary.find(joined);
    if (!id || static_cast<size_t>(*id) >= definition.model_tokens) {
      throw DataError(cat(origin, ": a merge gives '", util::excerpt(joined), "', which is not in the vocabulary"));
    }
    merges.push_back({left, right, *id});
  }
  return merges;
}

/// The byte that a piece like <0x0A> stands for.
std::optional<char> byte_of(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') {
    return std::nullopt;
  }
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  const size_t high = kHex.find(piece[3]);
  const size_t low = kHex.find(piece[4]);
  return high == kHex.npos || low == kHex.npos ? std::nullopt : std::optional(static_cast<char>(high << 4 | low));
}

bool has_role(const SpecialRoles& roles, int32_t id) {
  return std::ranges::any_of(kRoleNames, [&](const RoleNames& role) { return roles.*role.id == id; });
}

}  // namespace

SubwordTokenizer::SubwordTokenizer(SubwordDefinition definition, std::string origin)
    : definition_(std::move(definition)),
      origin_(std::move(origin)),
      vocabulary_(std::exchange(definition_.tokens, {}), origin_),
      normalizer_(std::make_unique<HubNormalizer>(definition_.normalizer, origin_)),
      before_(make_cutter(false)),
      after_(make_cutter(true)),
      special_ids_(definition_.model_tokens, 0),
      special_(complete(definition_.roles)),
      fingerprint_(make_fingerprint()) {
  std::optional<BytePieces> bytes;
  if (definition_.byte_fallback) {
    bytes = find_byte_pieces(vocabulary_, definition_.model_tokens);
  }
  if (definition_.model == SubwordModel::kUnigram) {
    unigram_ = std::make_unique<Unigram>(vocabulary_, std::exchange(definition_.scores, {}),
                                         Unigram::Options{.unk_id = *definition_.unk_id, .bytes = bytes});
  } else {
    bpe_ = std::make_unique<Bpe>(vocabulary_, joined_merges(definition_, vocabulary_, origin_),
                                 Bpe::Options{.unk_id = definition_.unk_id,
                                              .bytes = bytes,
                                              .model_tokens = definition_.model_tokens,
                                              .fuse_unk = definition_.fuse_unk,
                                              .ignore_merges = definition_.ignore_merges});
  }
  definition_.merges.clear();
  const auto bar = [&](int32_t id) {
    if (static_cast<size_t>(id) < special_ids_.size()) {
      special_ids_[static_cast<size_t>(id)] = 1;
    }
  };
  for (const AddedToken& token : definition_.added) {
    if (token.special) {
      bar(token.id);
    }
  }
  for (const RoleNames& role : kRoleNames) {
    if (const auto id = definition_.roles.*role.id) {
      bar(*id);
    }
  }
}

SubwordTokenizer::~SubwordTokenizer() = default;

SubwordTokenizer::Cutter SubwordTokenizer::make_cutter(bool normalized) const {
  std::vector<LiteralTokens::Token> all;
  std::vector<LiteralTokens::Token> ordinary;
  Cutter cutter;
  for (const AddedToken& token : definition_.added) {
    if (token.normalized != normalized) {
      continue;
    }
    const std::string content = normalized ? normalizer_->normalize(token.content) : token.content;
    const bool occurs_twice = std::ranges::find(all, content, &LiteralTokens::Token::content) != all.end();
    if (content.empty() || occurs_twice) {
      throw DataError(cat(origin_, ": the added token '", util::excerpt(token.content), "' is ",
                          content.empty() ? "nothing" : "the same as another one",
                          " after normalisation, which is not supported, as it would give other ids"));
    }
    all.push_back({content, token.id});
    if (!token.special && !has_role(definition_.roles, token.id)) {
      ordinary.push_back(all.back());
    }
    cutter.tokens.push_back(token);
  }
  cutter.all = LiteralTokens(std::move(all));
  cutter.ordinary = LiteralTokens(std::move(ordinary));
  std::ranges::sort(cutter.tokens, {}, &AddedToken::id);
  return cutter;
}

std::string SubwordTokenizer::make_fingerprint() const {
  util::StreamHash hash;
  hash.update("subword 1\n");
  for (const RoleNames& role : kRoleNames) {
    hash.update(cat((definition_.roles.*role.id).value_or(-1), " "));
  }
  hash.update("\n" + definition_.content_hash);
  return hash.digest128().hex();
}

const SpecialTokens& SubwordTokenizer::special() const {
  if (!special_) {
    throw_missing_roles(origin_, definition_.roles, definition_.no_frame_reason);
  }
  return *special_;
}

/// Appends the ids of the literal tokens and hands the text between them to `take(part, its offset)`.
template <class TakeText>
void SubwordTokenizer::cut(const Cutter& cutter, SpecialInText mode, std::string_view text, std::vector<int32_t>& ids,
                           TakeText take) {
  const LiteralTokens& literals = mode == SpecialInText::kRecognise ? cutter.all : cutter.ordinary;
  size_t taken = 0;
  size_t from = 0;
  while (const auto match = literals.find(text, from)) {
    const auto token = std::ranges::lower_bound(cutter.tokens, match->id, {}, &AddedToken::id);
    size_t begin = match->begin_bytes;
    size_t end = begin + match->size_bytes;
    from = end;
    if (token->lstrip) {
      begin = std::max(taken, begin - trailing_white_space(text.substr(0, begin)));
    }
    if (token->rstrip) {
      end += leading_white_space(text.substr(end));
    }
    if (taken < begin) {
      take(text.substr(taken, begin - taken), taken);
    }
    ids.push_back(match->id);
    taken = end;
  }
  if (taken < text.size()) {
    take(text.substr(taken), taken);
  }
}

void SubwordTokenizer::encode_normalized(std::string_view text, Before before, const std::vector<char>& barred,
                                         std::vector<int32_t>& ids) const {
  for_each_word(text, definition_.split, before, [&](std::string_view word) {
    if (unigram_) {
      unigram_->encode_word(word, barred, ids);
    } else {
      bpe_->encode_word(word, barred, ids);
    }
  });
}

void SubwordTokenizer::encode_part(std::string_view text, Before before, SpecialInText mode,
                                   std::vector<int32_t>& ids) const {
  const std::string normalized = normalizer_->normalize(std::string(text));
  const std::vector<char>& barred = mode == SpecialInText::kPlainText ? special_ids_ : kNothingBarred;
  cut(after_, mode, normalized, ids, [&](std::string_view part, size_t offset) {
    encode_normalized(part, offset == 0 ? before : Before::kToken, barred, ids);
  });
}

void SubwordTokenizer::encode(std::string_view text, std::vector<int32_t>& ids, const EncodeOptions& options) const {
  std::string repaired;
  if (count_invalid_utf8(text) > 0) {
    repaired = repair_utf8(text);
    text = repaired;
  }
  cut(before_, options.special_in_text, text, ids, [&](std::string_view part, size_t offset) {
    encode_part(part, offset == 0 ? options.before : Before::kToken, options.special_in_text, ids);
  });
}

std::string join_metaspace_pieces(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::string text;
  for (const int32_t id : ids) {
    std::string_view piece = tokenizer.token(id);
    if (const auto byte = byte_of(piece)) {
      text += *byte;
      continue;
    }
    for (size_t at = piece.find(kMetaspace); at != std::string_view::npos; at = piece.find(kMetaspace)) {
      text.append(piece.substr(0, at)).append(" ");
      piece.remove_prefix(at + kMetaspace.size());
    }
    text += piece;
  }
  return repair_utf8(text.starts_with(' ') ? text.substr(1) : text);
}

std::string SubwordTokenizer::decode(std::span<const int32_t> ids) const {
  if (!definition_.split.byte_level) {
    return join_metaspace_pieces(*this, ids);
  }
  std::string text;
  for (const int32_t id : ids) {
    append_spelt_bytes(token(id), text);
  }
  return repair_utf8(text);
}

void SubwordTokenizer::save(const std::filesystem::path& directory, const ModelInput& input) const {
  write_subword_directory(*this, definition_, directory, input);
}

}  // namespace bertcram::text
