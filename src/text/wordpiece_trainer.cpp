#include "bertcram/text/wordpiece_trainer.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include "bertcram/text/unicode.h"
#include "bertcram/text/wordpiece.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "pair_counts.h"

namespace bertcram::text {
namespace {

std::string behind_prefix(char32_t c) { return std::string(kContinuationPrefix) + to_utf8({&c, 1}); }

/// Of millions of words so many pass between two looks whether to stop.
constexpr size_t kWordsBetweenChecks = size_t{1} << 16;

/// The characters of all words.
struct Characters {
  std::map<char32_t, uint64_t> frequency;
  std::set<char32_t> continuing;  ///< those that stand behind another one
  size_t in_words = 0;            ///< those of each word once, however often it occurs
};

/// Called for one word after the other: looks now and then whether to stop.
void check_stop_at(size_t word, const WordPieceTrainOptions& options) {
  if (word % kWordsBetweenChecks == 0) {
    options.check_stop();
  }
}

Characters count_characters(const WordCounts& counts, const WordPieceTrainOptions& options) {
  Characters characters;
  for (size_t i = 0; i < counts.words.size(); ++i) {
    check_stop_at(i, options);
    const std::u32string word = to_code_points(counts.words[i].word);
    for (const char32_t c : word) {
      characters.frequency[c] += counts.words[i].count;
    }
    characters.continuing.insert(word.begin() + (word.empty() ? 0 : 1), word.end());
    characters.in_words += word.size();
  }
  return characters;
}

/// The most frequent characters of all words; among equals the lower code point stays.
std::set<char32_t> choose_alphabet(const Characters& characters, int64_t limit) {
  std::vector<std::pair<char32_t, uint64_t>> by_frequency(characters.frequency.begin(), characters.frequency.end());
  std::ranges::stable_sort(by_frequency, std::ranges::greater{}, &std::pair<char32_t, uint64_t>::second);
  by_frequency.resize(std::min(by_frequency.size(), static_cast<size_t>(std::max<int64_t>(limit, 0))));
  std::set<char32_t> alphabet;
  for (const auto& [c, count] : by_frequency) {
    alphabet.insert(c);
  }
  return alphabet;
}

class Trainer {
 public:
  Trainer(const WordCounts& counts, const WordPieceTrainOptions& options) : options_(options) {
    for (const std::string& special : options.specials) {
      intern(special);
    }
    split_words(counts);
    check_room_for_characters();
    count_all_pairs();
  }

  std::vector<std::string> run() {
    while (static_cast<int64_t>(tokens_.size()) < options_.vocab_size) {
      options_.check_stop();
      const auto top = pairs_.take_most_frequent();
      if (!top || top->count < options_.min_frequency) {
        throw_too_few();
      }
      join(top->pair, top->words);
      pairs_.commit();
    }
    return std::move(tokens_);
  }

 private:
  struct Word {
    size_t begin;  // in pieces_
    uint32_t size_pieces;
    uint64_t count;
  };

  int32_t intern(const std::string& token) {
    const auto [entry, is_new] = ids_.emplace(token, static_cast<int32_t>(tokens_.size()));
    if (is_new) {
      tokens_.push_back(token);
    }
    return entry->second;
  }

  void split_words(const WordCounts& counts) {
    const Characters characters = count_characters(counts, options_);
    const std::set<char32_t> alphabet = choose_alphabet(characters, options_.limit_alphabet);
    std::map<char32_t, int32_t> start_ids;
    std::map<char32_t, int32_t> continuing_ids;
    for (const char32_t c : alphabet) {
      start_ids[c] = intern(to_utf8({&c, 1}));
    }
    for (const char32_t c : alphabet) {
      if (characters.continuing.contains(c)) {
        continuing_ids[c] = intern(behind_prefix(c));
      }
    }
    words_.reserve(counts.words.size());
    pieces_.reserve(characters.in_words);
    for (size_t i = 0; i < counts.words.size(); ++i) {
      check_stop_at(i, options_);
      add_word(to_code_points(counts.words[i].word), counts.words[i].count, start_ids, continuing_ids);
    }
  }

  void add_word(const std::u32string& word, uint64_t count, const std::map<char32_t, int32_t>& start_ids,
                const std::map<char32_t, int32_t>& continuing_ids) {
    const size_t begin = pieces_.size();
    for (size_t i = 0; i < word.size(); ++i) {
      const auto& ids = i == 0 ? start_ids : continuing_ids;
      if (const auto id = ids.find(word[i]); id != ids.end()) {
        pieces_.push_back(id->second);
      }
    }
    words_.push_back({begin, static_cast<uint32_t>(pieces_.size() - begin), count});
  }

  void check_room_for_characters() const {
    if (static_cast<int64_t>(tokens_.size()) > options_.vocab_size) {
      throw ConfigError(cat("a vocabulary of ", options_.vocab_size, " tokens has no room for the ", tokens_.size(),
                            " special tokens and characters of this text; give --vocab-size ", tokens_.size(),
                            " or more"));
    }
  }

  [[noreturn]] void throw_too_few() const {
    throw ConfigError(cat("this text gives only ", tokens_.size(), " word pieces (joined at ", options_.min_frequency,
                          " occurrences or more), not the ", options_.vocab_size,
                          " asked for; give more text or --vocab-size ", tokens_.size(), " or less"));
  }

  void count_all_pairs() {
    for (uint32_t w = 0; w < words_.size(); ++w) {
      check_stop_at(w, options_);
      add_pairs(w, 0, words_[w].size_pieces);
    }
    pairs_.commit();
  }

  std::span<int32_t> pieces_of(uint32_t w) { return {pieces_.data() + words_[w].begin, words_[w].size_pieces}; }

  /// The pairs whose left piece is in [first, last) of word w.
  void add_pairs(uint32_t w, size_t first, size_t last) {
    const std::span<int32_t> pieces = pieces_of(w);
    for (size_t i = first; i < last && i + 1 < pieces.size(); ++i) {
      pairs_.add({pieces[i], pieces[i + 1]}, words_[w].count, w);
    }
  }

  void subtract_pairs(uint32_t w, size_t first, size_t last) {
    const std::span<int32_t> pieces = pieces_of(w);
    for (size_t i = first; i < last && i + 1 < pieces.size(); ++i) {
      pairs_.subtract({pieces[i], pieces[i + 1]}, words_[w].count);
    }
  }

  void join(PiecePair pair, const std::vector<uint32_t>& words) {
    const std::string& right = tokens_[static_cast<size_t>(pair.right)];
    const int32_t joined = intern(tokens_[static_cast<size_t>(pair.left)] + right.substr(kContinuationPrefix.size()));
    for (const uint32_t w : words) {
      join_in_word(w, pair, joined);
    }
  }

  void join_in_word(uint32_t w, PiecePair pair, int32_t joined) {
    const std::span<int32_t> pieces = pieces_of(w);
    const auto is_pair = [&](size_t i) {
      return i + 1 < pieces.size() && pieces[i] == pair.left && pieces[i + 1] == pair.right;
    };
    size_t first = 0;
    while (first < pieces.size() && !is_pair(first)) {
      ++first;
    }
    if (first == pieces.size()) {
      return;  // joined before, or listed twice
    }
    const size_t from = first == 0 ? 0 : first - 1;
    subtract_pairs(w, from, pieces.size());
    size_t out = first;
    for (size_t in = first; in < pieces.size(); ++out) {
      const bool join_here = is_pair(in);
      pieces[out] = join_here ? joined : pieces[in];
      in += join_here ? 2 : 1;
    }
    words_[w].size_pieces = static_cast<uint32_t>(out);
    add_pairs(w, from, out);
  }

  const WordPieceTrainOptions& options_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<int32_t> pieces_;  // of all words, one after another; a word shrinks in place
  std::vector<Word> words_;
  PairCounts pairs_;
};

}  // namespace

std::vector<std::string> train_wordpiece(const WordCounts& counts, const WordPieceTrainOptions& options) {
  return Trainer(counts, options).run();
}

}  // namespace bertcram::text
