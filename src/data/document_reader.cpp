#include "bertcram/data/document_reader.h"

#include <glob.h>

#include <algorithm>
#include <cstring>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "document_format.h"

namespace bertcram::data {
namespace {

constexpr size_t kReadBytes = size_t{1} << 18;
// A text has no control characters to speak of; anything beyond this share at a file's start is another format.
constexpr double kMaxControlShare = 0.1;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Regular files in a folder and below, sorted; names that begin with a dot are left out.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::recursive_directory_iterator(); entries.increment(error)) {
    const bool is_hidden = entries->path().filename().string().starts_with(".");
    if (is_hidden) {
      entries.disable_recursion_pending();
    } else if (entries->is_regular_file(error)) {
      files.push_back(entries->path());
    }
  }
  if (error) {
    throw DataError(cat("--input ", folder.string(), ": cannot look through this folder (", error.message(),
                        "); make it readable, or name the files"));
  }
  std::ranges::sort(files);
  return files;
}

std::vector<std::filesystem::path> files_matching(const std::string& pattern) {
  glob_t matches{};
  std::vector<std::filesystem::path> files;
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
    files.assign(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  }
  ::globfree(&matches);
  return files;
}

/// Refuses a file whose beginning is not text.
void check_is_text(std::string_view beginning, const std::string& path) {
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == 0x7F || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f');
  };
  const auto controls = static_cast<double>(std::ranges::count_if(beginning, is_control));
  if (controls > kMaxControlShare * static_cast<double>(beginning.size())) {
    throw DataError(cat(path, ": not a text file (", static_cast<int64_t>(controls), " control bytes among the first ",
                        beginning.size(), "); expected UTF-8 text, plain, .gz, .xz or .zst"));
  }
}

}  // namespace

std::vector<std::filesystem::path> expand_inputs(const std::string& flag, const std::vector<std::string>& words) {
  std::vector<std::filesystem::path> files;
  for (const std::string& word : words) {
    std::vector<std::filesystem::path> found;
    std::error_code ignored;
    if (std::filesystem::is_directory(word, ignored)) {
      found = files_below(word);
    } else if (word == "-" || std::filesystem::exists(word, ignored)) {
      found = {word};
    } else {
      for (const auto& match : files_matching(word)) {
        const auto below = std::filesystem::is_directory(match, ignored) ? files_below(match) : std::vector{match};
        found.insert(found.end(), below.begin(), below.end());
      }
    }
    if (found.empty()) {
      throw DataError(cat(flag, " ", word, ": no such file, and no folder or pattern with files in it"));
    }
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

DocumentReader::DocumentReader(std::vector<std::filesystem::path> files, ReaderOptions options)
    : files_(std::move(files)),
      options_(std::move(options)),
      next_file_(options_.start.finished.size()),
      bad_records_{.allowed = options_.input.max_bad_records, .found = 0},
      summaries_(options_.start.finished),
      known_documents_(options_.start.documents) {
  BC_CHECK(next_file_ <= files_.size(), next_file_, " finished files of ", files_.size());
  for (const SourceSummary& source : summaries_) {
    bad_records_.found += source.bad_records;
  }
}

DocumentReader::~DocumentReader() = default;

/// Reads more of the open file into pending_; false at its end.
bool DocumentReader::fill() {
  pending_.erase(0, pending_at_);
  scanned_ = scanned_ > pending_at_ ? scanned_ - pending_at_ : 0;
  pending_at_ = 0;
  const size_t before = pending_.size();
  pending_.resize(before + kReadBytes);
  const size_t count = source_->read(std::span(pending_).subspan(before));
  size_t mark_bytes = 0;
  if (summary_.text_bytes == 0 && count > 0) {
    const auto beginning = std::string_view(pending_).substr(before, count);
    check_is_text(beginning, summary_.path);
    mark_bytes = beginning.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  }
  pending_.erase(before, mark_bytes);
  const auto fresh = pending_.begin() + static_cast<std::ptrdiff_t>(before);
  const auto fresh_end = fresh + static_cast<std::ptrdiff_t>(count - mark_bytes);
  const auto kept_end = std::remove(fresh, fresh_end, '\0');
  summary_.nul_bytes += fresh_end - kept_end;
  summary_.text_bytes += static_cast<int64_t>(count);
  pending_.resize(static_cast<size_t>(kept_end - pending_.begin()));
  return count > 0;
}

/// By what was read of the file so far.
void DocumentReader::choose_format() {
  const config::TextFormat asked = options_.input.format;
  const config::TextFormat format = asked == config::TextFormat::kAuto ? detect_format(pending_) : asked;
  format_ = make_document_format(format, options_.input.text_field, bad_records_);
  summary_.format = enum_words(format)[static_cast<size_t>(format)];
}

/// Moves whole lines from pending_ to the batch until it is full.
void DocumentReader::take_lines(DocumentBatch& batch) {
  while (batch.ends.empty() || batch.ends.back() < options_.batch_bytes) {
    const size_t newline = pending_.find('\n', std::max(pending_at_, scanned_));
    if (newline == std::string::npos) {
      scanned_ = pending_.size();
      return;
    }
    take_line(batch, std::string_view(pending_).substr(pending_at_, newline - pending_at_));
    pending_at_ = newline + 1;
  }
}

/// A line without its end; whether that was LF, CRLF or the end of the file makes no difference.
void DocumentReader::take_line(DocumentBatch& batch, std::string_view line) {
  ++summary_.lines;
  line.remove_suffix(line.ends_with('\r') ? 1 : 0);
  DocumentSink sink{batch, summary_};
  format_->add_line(line, sink);
}

void DocumentReader::finish_source(DocumentBatch& batch) {
  if (pending_at_ < pending_.size()) {
    take_line(batch, std::string_view(pending_).substr(pending_at_));
  }
  pending_.clear();
  pending_at_ = scanned_ = 0;
  DocumentSink{batch, summary_}.end_document();
  summary_.file_bytes = source_->file_bytes();
  summary_.hash = source_->file_hash().hex();
  if (summary_.bad_records > 0) {
    util::log_warning("data", cat(summary_.path, ": ", util::format_count(summary_.bad_records), " of ",
                                  util::format_count(summary_.lines), " lines held no text in '",
                                  options_.input.text_field, "' and were skipped"));
  }
  if (summary_.documents == 0) {
    util::log_warning("data", cat(summary_.path, " holds no text"));
  }
  summaries_.push_back(std::move(summary_));
  source_.reset();
  format_.reset();
}

/// Takes the documents from the front of a batch that an earlier reader gave out. They are the first of the file.
void DocumentReader::skip_known(DocumentBatch& batch) {
  const auto known = std::min(static_cast<size_t>(known_documents_), batch.size());
  if (known == 0) {
    return;
  }
  const size_t bytes = batch.ends[known - 1];
  batch.text.erase(0, bytes);
  batch.ends.erase(batch.ends.begin(), batch.ends.begin() + static_cast<std::ptrdiff_t>(known));
  for (size_t& end : batch.ends) {
    end -= bytes;
  }
  known_documents_ -= static_cast<int64_t>(known);
}

std::optional<DocumentBatch> DocumentReader::next() {
  int64_t skipped_bytes = 0;
  while (true) {
    DocumentBatch batch = read_batch();
    if (batch.ends.empty()) {
      return std::nullopt;
    }
    skip_known(batch);
    batch.source_bytes += skipped_bytes;
    if (!batch.ends.empty()) {
      return batch;
    }
    skipped_bytes = batch.source_bytes;
  }
}

/// The next documents; none at the end.
DocumentBatch DocumentReader::read_batch() {
  DocumentBatch batch;
  batch.text = std::move(open_document_);
  open_document_.clear();
  while (batch.ends.empty() || batch.ends.back() < options_.batch_bytes) {
    if (!source_) {
      if (next_file_ == files_.size()) {
        break;
      }
      const auto& path = files_[next_file_++];
      source_ = open_byte_source(path, options_.stop);
      summary_ = {};
      summary_.path = path.string();
      last_file_bytes_ = 0;
    }
    if (format_) {
      take_lines(batch);
    }
    if (!batch.ends.empty() && batch.ends.back() >= options_.batch_bytes) {
      break;
    }
    const bool more = fill();
    batch.source_bytes += source_->file_bytes() - last_file_bytes_;
    last_file_bytes_ = source_->file_bytes();
    if (!format_) {
      choose_format();
    }
    if (!more) {
      finish_source(batch);
    }
  }
  if (!batch.ends.empty()) {
    open_document_ = batch.text.substr(batch.ends.back());  // goes on in the next batch
    batch.text.resize(batch.ends.back());
  }
  return batch;
}

}  // namespace bertcram::data
