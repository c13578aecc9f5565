#include "text_file_source.h"

#include <algorithm>
#include <cstring>

#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "parquet_source.h"

namespace bertcram::data {
namespace {

constexpr size_t kReadBytes = size_t{1} << 18;
// A text has no control characters to speak of; anything beyond this share at a file's start is another format.
constexpr double kMaxControlShare = 0.1;
// Western languages in Latin-1 stay below this share of places that are no UTF-8 per byte; other encodings are far above
// it. A few in a short text say nothing.
constexpr double kMaxInvalidShare = 0.1;
constexpr int64_t kFewInvalid = 100;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Whether a file begins as a POSIX or GNU tar archive does.
bool is_tar(std::string_view beginning) {
  constexpr size_t kMagicAt = 257;
  return beginning.size() > kMagicAt && beginning.substr(kMagicAt).starts_with("ustar");
}

/// Refuses a file whose beginning is not text.
void check_is_text(std::string_view beginning, const std::string& path) {
  if (is_parquet(beginning)) {
    throw DataError(cat(path, path == "-" ? " (standard input)" : "",
                        ": Parquet, which has to be a file of its own, neither piped nor compressed as a whole: it is "
                        "read from its end; store it and name the file"));
  }
  if (beginning.starts_with("\xFF\xFE") || beginning.starts_with("\xFE\xFF")) {  // no UTF-8 begins so
    throw DataError(cat(path, ": UTF-16, expected UTF-8; 'iconv -f UTF-16 -t UTF-8' converts it"));
  }
  if (is_tar(beginning)) {
    throw DataError(cat(path, ": a tar archive; unpack it and give its files or their folder"));
  }
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == 0x7F || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f');
  };
  const auto controls = static_cast<double>(std::ranges::count_if(beginning, is_control));
  if (controls > kMaxControlShare * static_cast<double>(beginning.size())) {
    const bool is_half_nul = std::ranges::count(beginning, '\0') > static_cast<std::ptrdiff_t>(beginning.size() / 4);
    throw DataError(cat(path, ": not a text file (", static_cast<int64_t>(controls), " control bytes among the first ",
                        beginning.size(), "); expected UTF-8 text, plain, .gz, .xz or .zst, or Parquet",
                        is_half_nul ? "; is it UTF-16? 'iconv -f UTF-16 -t UTF-8' converts it" : ""));
  }
  const int64_t invalid = text::count_invalid_utf8(beginning);
  if (invalid > kFewInvalid &&
      static_cast<double>(invalid) > kMaxInvalidShare * static_cast<double>(beginning.size())) {
    throw DataError(cat(path, ": not a text file, or in another encoding (", invalid,
                        " places that are no UTF-8 among the first ", beginning.size(),
                        " bytes); expected UTF-8, to which 'iconv -f ENCODING -t UTF-8' converts"));
  }
}

}  // namespace

TextFileSource::TextFileSource(const std::filesystem::path& path, const config::SourceConfig& source,
                               const ReaderOptions& options, BadRecords& bad_records)
    : bytes_(open_byte_source(path, options.stop)), source_(source), bad_records_(bad_records) {}

/// Reads more of the file into pending_; false at its end. Of the beginning it reads as much as there is room for: what the
/// file is must not depend on how much a pipe or a decompressor gives at a time.
bool TextFileSource::fill(SourceSummary& summary) {
  pending_.erase(0, pending_at_);
  scanned_ = scanned_ > pending_at_ ? scanned_ - pending_at_ : 0;
  pending_at_ = 0;
  const size_t before = pending_.size();
  pending_.resize(before + kReadBytes);
  const std::span<char> room = std::span(pending_).subspan(before);
  size_t count = bytes_->read(room);
  for (size_t next = count; !format_ && next > 0 && count < room.size(); count += next) {
    next = bytes_->read(room.subspan(count));
  }
  size_t mark_bytes = 0;
  if (!format_ && count > 0) {
    const auto beginning = std::string_view(pending_).substr(before, count);
    check_is_text(beginning, summary.path);
    mark_bytes = beginning.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  }
  pending_.erase(before, mark_bytes);
  const auto fresh = pending_.begin() + static_cast<std::ptrdiff_t>(before);
  const auto fresh_end = fresh + static_cast<std::ptrdiff_t>(count - mark_bytes);
  const bool has_nul = std::memchr(pending_.data() + before, '\0', count - mark_bytes) != nullptr;
  const auto kept_end = has_nul ? std::remove(fresh, fresh_end, '\0') : fresh_end;
  summary.nul_bytes += fresh_end - kept_end;
  summary.text_bytes += static_cast<int64_t>(count);
  pending_.resize(static_cast<size_t>(kept_end - pending_.begin()));
  return count > 0;
}

/// By what was read of the file so far. @throws DataError if it is JSON, but not JSON lines, unless that was called text
void TextFileSource::choose_format(SourceSummary& summary) {
  using enum config::TextFormat;
  const Extent extent = summary.text_bytes < static_cast<int64_t>(kReadBytes) ? Extent::kWhole : Extent::kBeginning;
  const bool may_be_json = source_.format == kAuto || source_.format == kJsonl;
  const bool is_array = is_json_array(pending_);
  if (may_be_json && (is_array || is_indented_json_object(pending_)) && detect_format(pending_, extent) != kJsonl) {
    throw DataError(cat(summary.path, is_array ? ": a JSON array" : ": a JSON object over several lines",
                        "; bertcram reads JSON lines (jq -c ", is_array ? "'.[]'" : ".", " FILE > FILE.jsonl)"));
  }
  const config::TextFormat format = source_.format == kAuto ? detect_format(pending_, extent) : source_.format;
  format_ = make_document_format(format, source_.text_field, bad_records_);
  summary.format = enum_words(format)[static_cast<size_t>(format)];
}

/// Gives whole lines from pending_ to the format until the sink wants no more.
void TextFileSource::take_lines(DocumentSink& sink) {
  while (sink.wants_more()) {
    const size_t newline = pending_.find('\n', std::max(pending_at_, scanned_));
    if (std::min(newline, pending_.size()) - pending_at_ > kLongestText) {
      take_piece(sink);
      continue;
    }
    if (newline == std::string::npos) {
      scanned_ = pending_.size();
      return;
    }
    take_line(sink, std::string_view(pending_).substr(pending_at_, newline - pending_at_));
    pending_at_ = newline + 1;
  }
}

/// The beginning of a line of more than kLongestText; where it ends does not depend on the size of the reads.
void TextFileSource::take_piece(DocumentSink& sink) {
  constexpr size_t kLongestWord = size_t{1} << 20;
  const std::string_view line = std::string_view(pending_).substr(pending_at_);
  size_t size = kLongestText;
  const size_t space = line.substr(0, size).find_last_of(" \t");
  if (space != std::string_view::npos && space + kLongestWord >= size) {
    size = space + 1;
  } else {
    constexpr size_t kLongestCharacter = 4;
    while (size + kLongestCharacter > kLongestText && text::is_continuation_byte(line[size])) {
      --size;
    }
  }
  format_->add_piece(line.substr(0, size), sink);
  pending_at_ += size;
}

/// A line without its end; whether that was LF, CRLF or the end of the file makes no difference.
void TextFileSource::take_line(DocumentSink& sink, std::string_view line) {
  ++sink.summary.lines;
  line.remove_suffix(line.ends_with('\r') ? 1 : 0);
  format_->add_line(line, sink);
}

bool TextFileSource::read(DocumentSink& sink) {
  if (format_) {
    take_lines(sink);
    if (!sink.wants_more()) {
      return true;
    }
  }
  const bool more = fill(sink.summary);
  if (!format_) {
    choose_format(sink.summary);
  }
  if (!more && pending_at_ < pending_.size()) {
    take_line(sink, std::string_view(pending_).substr(pending_at_));
    pending_at_ = pending_.size();
  }
  return more;
}

}  // namespace bertcram::data
