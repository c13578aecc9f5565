#include "unigram.h"

#include <algorithm>

#include "bertcram/text/unicode.h"

namespace bertcram::text {
namespace {

constexpr double kUnknownPenalty = 10.0;

DoubleArray make_trie(const Vocabulary& vocabulary, size_t count) {
  std::vector<DoubleArray::Entry> entries;
  entries.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    entries.push_back({vocabulary.tokens()[i], static_cast<int32_t>(i)});
  }
  return DoubleArray(std::move(entries));
}

}  // namespace

std::optional<BytePieces> find_byte_pieces(const Vocabulary& vocabulary, size_t model_tokens) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  BytePieces ids{};
  for (size_t byte = 0; byte < ids.size(); ++byte) {
    const std::string piece = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    const auto id = vocabulary.find(piece);
    if (!id || static_cast<size_t>(*id) >= model_tokens) {
      return std::nullopt;
    }
    ids[byte] = *id;
  }
  return ids;
}

Unigram::Unigram(const Vocabulary& vocabulary, std::vector<double> scores, Options options)
    : vocabulary_(vocabulary),
      scores_(std::move(scores)),
      options_(options),
      trie_(make_trie(vocabulary, scores_.size())),
      unk_score_(std::ranges::min(scores_) - kUnknownPenalty) {}

std::vector<Unigram::Node> Unigram::best_paths(std::string_view word, const std::vector<char>& barred) const {
  std::vector<Node> nodes(word.size() + 1);
  const auto offer = [&](size_t begin, size_t end, double score, int32_t id) {
    const double sum = score + nodes[begin].score;
    if (nodes[end].size_bytes == 0 || sum > nodes[end].score) {
      nodes[end] = {sum, static_cast<uint32_t>(end - begin), id};
    }
  };
  for (size_t begin = 0; begin < word.size();) {
    const size_t char_end = begin + decode_utf8(word.substr(begin)).size_bytes;
    bool is_known = false;
    DoubleArray::State state = DoubleArray::kRoot;
    for (size_t at = begin; at < word.size(); ++at) {
      state = trie_.step(state, static_cast<unsigned char>(word[at]));
      if (state == DoubleArray::kNone) {
        break;
      }
      const int32_t id = trie_.value(state);
      if (id >= 0 && !is_barred(barred, id)) {
        offer(begin, at + 1, scores_[static_cast<size_t>(id)], id);
        is_known = is_known || at + 1 == char_end;
      }
    }
    if (!is_known) {
      offer(begin, char_end, unk_score_, options_.unk_id);
    }
    begin = char_end;
  }
  return nodes;
}

void Unigram::add_unknown(std::string_view run, const std::vector<char>& barred, std::vector<int32_t>& ids) const {
  // Joined, unknown characters may spell a piece after all.
  const auto known = vocabulary_.find(run);
  if (known && static_cast<size_t>(*known) < scores_.size() && !is_barred(barred, *known)) {
    ids.push_back(*known);
  } else if (options_.bytes) {
    for (const char byte : run) {
      ids.push_back((*options_.bytes)[static_cast<unsigned char>(byte)]);
    }
  } else {
    ids.push_back(options_.unk_id);
  }
}

void Unigram::encode_word(std::string_view word, const std::vector<char>& barred, std::vector<int32_t>& ids) const {
  const std::vector<Node> nodes = best_paths(word, barred);
  std::vector<uint32_t> sizes;  // of the chosen pieces in bytes, the last first
  for (size_t end = word.size(); end > 0; end -= nodes[end].size_bytes) {
    sizes.push_back(nodes[end].size_bytes);
  }
  size_t begin = 0;
  for (size_t i = sizes.size(); i > 0; --i) {
    size_t end = begin + sizes[i - 1];
    if (nodes[end].id != options_.unk_id) {
      ids.push_back(nodes[end].id);
    } else {
      for (; i > 1 && nodes[end + sizes[i - 2]].id == options_.unk_id; --i) {
        end += sizes[i - 2];
      }
      add_unknown(word.substr(begin, end - begin), barred, ids);
    }
    begin = end;
  }
}

}  // namespace bertcram::text
