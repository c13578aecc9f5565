#include <algorithm>
#include <cstring>

#include "bertcram/text/normalizer.h"
#include "bertcram/text/unicode.h"

namespace bertcram::text {
namespace {

constexpr size_t kFirstBufferBytes = 512;
constexpr size_t kLongestReplacementBytes = 255;  // CharAction::size_bytes
/// Canonical order is kept up to this many combining characters in a row; a word of more is [UNK] in every vocabulary.
constexpr size_t kLongestOrderedRun = 4096;

}  // namespace

WordScanner::WordScanner(const Normalizer& normalizer) : normalizer_(normalizer), buffer_(kFirstBufferBytes) {}

void WordScanner::reset(std::string_view text) {
  cursor_ = text.data();
  end_ = text.data() + text.size();
  run_.clear();
  run_continues_at_ = nullptr;
}

std::string_view WordScanner::next() {
  size_ = 0;
  alone_ = {};
  while (cursor_ != end_) {
    const size_t room = buffer_.size() - size_;
    const char* const limit = cursor_ + std::min(room, static_cast<size_t>(end_ - cursor_));
    const char* const table = normalizer_.ascii_word_.data();
    char* out = buffer_.data() + size_;
    const char* in = cursor_;
    char mapped = 0;
    while (in != limit && (mapped = table[static_cast<unsigned char>(*in)]) != 0) {
      *out++ = mapped;
      ++in;
    }
    size_ = static_cast<size_t>(out - buffer_.data());
    cursor_ = in;
    if (in == limit) {
      grow(1);
    } else if (take_special() == Step::kWordEnds) {
      break;
    }
  }
  return alone_.empty() ? std::string_view(buffer_.data(), size_) : alone_;
}

/// Handles the character at the cursor, which is not an ASCII word character. A character that ends the word because it
/// stands alone is left for the next call.
WordScanner::Step WordScanner::take_special() {
  const DecodedChar decoded = decode_utf8({cursor_, static_cast<size_t>(end_ - cursor_)});
  const CharAction& action = normalizer_.action(decoded.code_point);
  switch (action.kind) {
    case CharAction::kSpace: cursor_ += decoded.size_bytes; return size_ == 0 ? Step::kContinue : Step::kWordEnds;
    case CharAction::kCopyAlone: return take_alone({cursor_, decoded.size_bytes}, decoded.size_bytes);
    case CharAction::kMapAlone: return take_alone(normalizer_.replacement(action), decoded.size_bytes);
    case CharAction::kCopy:
      if (decoded.valid) {
        append({cursor_, decoded.size_bytes});
      } else {
        append("\xEF\xBF\xBD");
      }
      break;
    case CharAction::kMap: append(normalizer_.replacement(action)); break;
    case CharAction::kDrop:
      if (run_continues_at_ == cursor_) {
        run_continues_at_ = cursor_ + decoded.size_bytes;
      }
      break;
    case CharAction::kDropStart: break;
    case CharAction::kGeneral: take_general(decoded.code_point, decoded.size_bytes); break;
  }
  cursor_ += decoded.size_bytes;
  return Step::kContinue;
}

WordScanner::Step WordScanner::take_alone(std::string_view word, uint32_t source_bytes) {
  if (size_ == 0) {
    alone_ = word;
    cursor_ += source_bytes;
  }
  return Step::kWordEnds;
}

void WordScanner::take_general(char32_t c, uint32_t source_bytes) {
  if (run_continues_at_ != cursor_) {
    run_.clear();
  }
  std::string bytes;
  for (const char32_t part : decompose(c)) {
    const int combining_class = canonical_combining_class(part);
    if (combining_class == 0) {
      run_.clear();
    }
    if (is_nonspacing_mark(part)) {
      continue;
    }
    bytes = to_utf8(normalizer_.options_.lowercase ? lowercase(part) : std::u32string{part});
    if (combining_class == 0) {
      append(bytes);
    } else {
      append_ordered(bytes, combining_class);
    }
  }
  run_continues_at_ = cursor_ + source_bytes;
}

void WordScanner::append(std::string_view bytes) {
  grow(bytes.size());
  std::memcpy(buffer_.data() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

/// Appends a combining character in front of those of the run that have a higher class.
void WordScanner::append_ordered(std::string_view bytes, int combining_class) {
  append(bytes);
  auto position = run_.end();
  std::ptrdiff_t bytes_after = 0;
  if (run_.size() < kLongestOrderedRun) {
    while (position != run_.begin() && (position - 1)->combining_class > combining_class) {
      --position;
      bytes_after += position->size_bytes;
    }
  }
  const auto word_end = buffer_.begin() + static_cast<std::ptrdiff_t>(size_);
  const auto own_begin = word_end - static_cast<std::ptrdiff_t>(bytes.size());
  std::rotate(own_begin - bytes_after, own_begin, word_end);
  run_.insert(position, {combining_class, static_cast<uint32_t>(bytes.size())});
}

void WordScanner::grow(size_t bytes_needed) {
  if (buffer_.size() - size_ < bytes_needed + kLongestReplacementBytes) {
    buffer_.resize(2 * buffer_.size() + kLongestReplacementBytes);
  }
}

}  // namespace bertcram::text
