#include "bertcram/text/wordpiece.h"

#include "bertcram/text/unicode.h"

namespace bertcram::text {
namespace {

std::vector<DoubleArray::Entry> entries_of(const Vocabulary& vocabulary) {
  std::vector<DoubleArray::Entry> entries;
  entries.reserve(vocabulary.tokens().size());
  for (const std::string& token : vocabulary.tokens()) {
    entries.push_back({token, static_cast<int32_t>(entries.size())});
  }
  return entries;
}

}  // namespace

WordPiece::WordPiece(const Vocabulary& vocabulary, int32_t unknown_id, int64_t max_chars_per_word)
    : trie_(entries_of(vocabulary)),
      continuation_root_(trie_.walk(DoubleArray::kRoot, kContinuationPrefix)),
      unknown_id_(unknown_id),
      max_chars_per_word_(max_chars_per_word) {}

void WordPiece::encode_word(std::string_view word, std::span<const char> barred, std::vector<int32_t>& ids) const {
  if (static_cast<int64_t>(word.size()) > max_chars_per_word_ && count_chars(word) > max_chars_per_word_) {
    ids.push_back(unknown_id_);
    return;
  }
  const size_t ids_before = ids.size();
  const char* piece = word.data();
  const char* const end = piece + word.size();
  DoubleArray::State root = DoubleArray::kRoot;
  while (piece != end) {
    int32_t best_id = -1;
    const char* best_end = piece;
    DoubleArray::State state = root;
    for (const char* next = piece; next != end && state != DoubleArray::kNone;) {
      state = trie_.step(state, static_cast<unsigned char>(*next++));
      const int32_t id = state == DoubleArray::kNone ? -1 : trie_.value(state);
      if (id >= 0 && (barred.empty() || barred[static_cast<size_t>(id)] == 0)) {
        best_id = id;
        best_end = next;
      }
    }
    if (best_id < 0) {
      ids.resize(ids_before);
      ids.push_back(unknown_id_);
      return;
    }
    ids.push_back(best_id);
    piece = best_end;
    root = continuation_root_;
  }
}

}  // namespace bertcram::text
