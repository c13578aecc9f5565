#pragma once
// The BERT normaliser and pre-tokeniser of Hugging Face (BertNormalizer + BertPreTokenizer) as one pass over the bytes.
// Every code point's fate is looked up in pages of 256 entries made once; only combining characters that survive
// accent stripping and may need canonical reordering take a slower path.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bertcram::text {

/// Steps in the order in which they are applied. Defaults are those of bert-base-uncased.
struct NormalizerOptions {
  bool clean_text = true;            ///< drop control characters, make all white space a space
  bool handle_chinese_chars = true;  ///< each CJK ideograph is a word of its own
  bool strip_accents = true;         ///< canonical decomposition, then without non-spacing marks; HF's null = lowercase
  bool lowercase = true;             ///< context-free lower case

  bool operator==(const NormalizerOptions&) const = default;
};

/// What happens to one code point, and the text that replaces it. Four bytes: pages stay in the cache.
struct CharAction {
  enum Kind : uint32_t {
    kCopy,       ///< part of a word, as it stands
    kMap,        ///< part of a word, replaced
    kDrop,       ///< removed; combining characters around it still meet
    kDropStart,  ///< removed; combining characters around it do not meet
    kSpace,      ///< ends a word
    kCopyAlone,  ///< a word of its own, as it stands
    kMapAlone,   ///< a word of its own, replaced
    kGeneral,    ///< contains combining characters that stay: order them
  };
  Kind kind : 4;
  uint32_t size_bytes : 8;
  uint32_t offset : 20;  ///< of the replacement in the pool
};
static_assert(sizeof(CharAction) == 4);

/// The tables of one set of options. Immutable after construction, thread-safe. Making one costs about 65 ms.
class Normalizer {
 public:
  explicit Normalizer(const NormalizerOptions& options);

  const NormalizerOptions& options() const { return options_; }

  /// The words of `text` after normalisation; empty words do not occur.
  std::vector<std::string> words(std::string_view text) const;

 private:
  friend class WordScanner;
  static constexpr uint32_t kPageSize = 256;
  using Page = std::array<CharAction, kPageSize>;

  const CharAction& action(char32_t c) const { return pages_[page_of_[c / kPageSize]][c % kPageSize]; }
  std::string_view replacement(const CharAction& action) const {
    return {pool_.data() + action.offset, action.size_bytes};
  }

  void build_ascii();
  void build_pages();
  CharAction make_action(char32_t c);
  CharAction pooled(CharAction::Kind kind, const std::string& replacement);

  NormalizerOptions options_;
  std::array<char, 256> ascii_word_{};  ///< the byte that stands for an ASCII word character; 0: look further
  std::vector<uint16_t> page_of_;       ///< page number of each block of 256 code points
  std::vector<Page> pages_;
  std::string pool_;
};

/// Walks over the words of one text at a time. Holds the buffer for the current word: make one per thread, use it for
/// many texts. The normaliser must outlive it.
class WordScanner {
 public:
  explicit WordScanner(const Normalizer& normalizer);

  /// Starts on a new text, which must stay valid while `next` is called.
  void reset(std::string_view text);

  /// The next word, or an empty view at the end. Valid until the next call. Not empty before the end.
  std::string_view next();

 private:
  struct RunItem {
    int combining_class;
    uint32_t size_bytes;
  };
  enum class Step { kContinue, kWordEnds };

  Step take_special();
  Step take_alone(std::string_view word, uint32_t source_bytes);
  void take_general(char32_t c, uint32_t source_bytes);
  void append(std::string_view bytes);
  void append_ordered(std::string_view bytes, int combining_class);
  void grow(size_t bytes_needed);

  const Normalizer& normalizer_;
  const char* cursor_ = nullptr;
  const char* end_ = nullptr;
  std::vector<char> buffer_;
  size_t size_ = 0;         ///< bytes of the current word in buffer_
  std::string_view alone_;  ///< a one-character word, returned instead of the buffer
  /// Combining characters at the end of the buffer that the character at run_continues_at_ may still have to precede.
  std::vector<RunItem> run_;
  const char* run_continues_at_ = nullptr;
};

}  // namespace bertcram::text
