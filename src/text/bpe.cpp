#include "bpe.h"

#include <queue>
#include <tuple>

#include "bertcram/text/unicode.h"

namespace bertcram::text {
namespace {

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

struct Candidate {
  uint32_t rank;
  int32_t at;
  int32_t joined;
  bool operator>(const Candidate& other) const { return std::tie(rank, at) > std::tie(other.rank, other.at); }
};

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges, Options options)
    : vocabulary_(vocabulary), options_(options) {
  rules_.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    rules_.insert_or_assign(pair_key(merges[i].left, merges[i].right),
                            Rule{static_cast<uint32_t>(i), merges[i].joined});
  }
}

std::optional<int32_t> Bpe::find(std::string_view token, const std::vector<char>& barred) const {
  const auto id = vocabulary_.find(token);
  return id && static_cast<size_t>(*id) < options_.model_tokens && !is_barred(barred, *id) ? id : std::nullopt;
}

const Bpe::Rule* Bpe::rule(int32_t left, int32_t right, const std::vector<char>& barred) const {
  const auto entry = rules_.find(pair_key(left, right));
  return entry == rules_.end() || is_barred(barred, entry->second.joined) ? nullptr : &entry->second;
}

std::vector<int32_t> Bpe::characters(std::string_view word, const std::vector<char>& barred) const {
  std::vector<int32_t> ids;
  ids.reserve(word.size());
  bool after_unknown = false;
  while (!word.empty()) {
    const std::string_view character = word.substr(0, decode_utf8(word).size_bytes);
    word.remove_prefix(character.size());
    const auto id = find(character, barred);
    if (id) {
      ids.push_back(*id);
    } else if (options_.bytes) {
      for (const char byte : character) {
        ids.push_back((*options_.bytes)[static_cast<unsigned char>(byte)]);
      }
    } else if (options_.unk_id && !(after_unknown && options_.fuse_unk)) {
      ids.push_back(*options_.unk_id);
    }
    after_unknown = !id && !options_.bytes && options_.unk_id;
  }
  return ids;
}

std::vector<Bpe::Symbol> Bpe::linked(const std::vector<int32_t>& ids) {
  std::vector<Symbol> symbols;
  symbols.reserve(ids.size());
  for (const int32_t id : ids) {
    const auto at = static_cast<int32_t>(symbols.size());
    symbols.push_back({.id = id, .previous = at - 1, .next = at + 1});
  }
  if (!symbols.empty()) {
    symbols.back().next = -1;
  }
  return symbols;
}

void Bpe::join(std::vector<Symbol>& symbols, const std::vector<char>& barred) const {
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> open;
  const auto offer = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) {
      return;
    }
    if (const Rule* found =
            rule(symbols[static_cast<size_t>(left)].id, symbols[static_cast<size_t>(right)].id, barred)) {
      open.push({found->rank, left, found->joined});
    }
  };
  for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols.size()); ++i) {
    offer(i, i + 1);
  }
  while (!open.empty()) {
    const Candidate best = open.top();
    open.pop();
    Symbol& left = symbols[static_cast<size_t>(best.at)];
    if (left.id == kGone || left.next < 0) {
      continue;
    }
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    const Rule* found = rule(left.id, right.id, barred);
    if (found == nullptr || found->joined != best.joined) {
      continue;  // one of the two has changed since
    }
    left.id = best.joined;
    left.next = right.next;
    right.id = kGone;
    if (right.next >= 0) {
      symbols[static_cast<size_t>(right.next)].previous = best.at;
    }
    offer(left.previous, best.at);
    offer(best.at, left.next);
  }
}

void Bpe::encode_word(std::string_view word, const std::vector<char>& barred, std::vector<int32_t>& ids) const {
  if (options_.ignore_merges) {
    if (const auto whole = find(word, barred)) {
      ids.push_back(*whole);
      return;
    }
  }
  std::vector<Symbol> symbols = linked(characters(word, barred));
  join(symbols, barred);
  for (const Symbol& symbol : symbols) {
    if (symbol.id != kGone) {
      ids.push_back(symbol.id);
    }
  }
}

}  // namespace bertcram::text
