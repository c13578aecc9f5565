#include "bertcram/data/document_reader.h"

#include <utility>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "document_source.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;

void warn_about_bad_records(const SourceSummary& summary) {
  if (summary.bad_records > 0) {
    util::log_warning("data", cat(summary.path, ": ", util::format_count(summary.bad_records), " of ",
                                  util::format_count(summary.lines), summary.format == "parquet" ? " rows" : " lines",
                                  " held no text in '", summary.rules.text_field, "' and were skipped"));
  }
}

void warn_about_cuts(const SourceSummary& summary) {
  if (summary.cuts > 0) {
    util::log_warning(
        "data", cat(summary.path, ": texts of more than ", util::format_bytes(kLongestText), " were cut at ",
                    util::format_count(summary.cuts), " places; if each line is a document, give --format lines"));
  }
}

}  // namespace

std::string BadRecords::ordinal() const { return allowed > 0 ? cat("; it is bad record number ", found) : ""; }

DocumentReader::DocumentReader(const std::vector<fs::path>& files, const ReaderOptions& options)
    : DocumentReader(plain_inputs(files, options.input), options) {}

DocumentReader::DocumentReader(InputList inputs, ReaderOptions options)
    : inputs_(std::move(inputs)),
      options_(std::move(options)),
      intakes_(inputs_.sources.size()),
      bad_records_{.allowed = options_.input.max_bad_records, .found = 0} {
  restore(options_.start);
}

DocumentReader::~DocumentReader() = default;

Intake& DocumentReader::intake() { return intakes_[inputs_.files[file_].source]; }

/// Opens the next file of which something is wanted; false if there is none.
bool DocumentReader::open_next() {
  for (; file_ < inputs_.files.size(); ++file_) {
    const fs::path& path = inputs_.files[file_].path;
    summary_ = {};
    summary_.path = path.string();
    summary_.rules = rules();
    if (!intake().is_over) {
      source_ = open_document_source(path, rules(), options_, bad_records_);
      last_file_bytes_ = 0;
      return true;
    }
    summary_.hash = util::hash128("").hex();
    summary_.is_complete = false;
    summaries_.push_back(std::move(summary_));
  }
  return false;
}

void DocumentReader::finish_source(DocumentSink& sink, Reached reached) {
  sink.end_document();
  summary_.hash = source_->file_hash().hex();
  summary_.file_bytes = source_->file_bytes();
  std::error_code error;
  summary_.is_complete =
      reached == Reached::kEnd || fs::file_size(summary_.path, error) == static_cast<uintmax_t>(summary_.file_bytes);
  summary_.limit_reached = sink.intake.is_over;
  warn_about_bad_records(summary_);
  warn_about_cuts(summary_);
  if (reached == Reached::kLimit) {
    util::log_info("data", cat(summary_.path, ": the limit of its source is reached, nothing more of it is read"));
  } else if (summary_.documents == 0 && summary_.documents_left_out == 0) {
    util::log_warning("data", cat(summary_.path, " holds no text"));
  }
  summaries_.push_back(std::move(summary_));
  source_.reset();
  ++file_;
}

/// Documents until the batch is complete or the input ends; none at the end.
DocumentBatch DocumentReader::read_batch() {
  DocumentBatch batch;
  batch.text = std::exchange(open_document_, {});
  while (batch.ends.empty() || batch.ends.back() < options_.batch_bytes) {
    if (!source_ && !open_next()) {
      break;
    }
    DocumentSink sink{batch, summary_, rules(), intake(), options_};
    const bool more = source_->read(sink);
    batch.source_bytes += source_->file_bytes() - last_file_bytes_;
    last_file_bytes_ = source_->file_bytes();
    if (!more || sink.intake.is_over) {
      finish_source(sink, more ? Reached::kLimit : Reached::kEnd);
    }
  }
  if (!batch.ends.empty()) {
    open_document_ = batch.text.substr(batch.ends.back());  // goes on in the next batch
    batch.text.resize(batch.ends.back());
  }
  return batch;
}

/// Goes on where an earlier reader of the same inputs was.
void DocumentReader::restore(const ReaderPosition& position) {
  file_ = position.finished.size();
  BC_CHECK(file_ <= inputs_.files.size(), file_, " finished files of ", inputs_.files.size());
  known_documents_ = position.documents;
  summaries_ = position.finished;
  for (size_t i = 0; i < file_; ++i) {
    SourceSummary& summary = summaries_[i];
    const size_t source = inputs_.files[i].source;
    summary.rules = inputs_.sources[source];
    bad_records_.found += summary.bad_records;
    Intake& intake = intakes_[source];
    intake.documents += summary.documents + summary.documents_left_out;
    intake.bytes += summary.document_bytes;
    intake.is_over = intake.is_over || summary.limit_reached;
  }
}

/// Takes the documents from the front of a batch that an earlier reader gave out. They are the first of the file.
/// @return whether that was all of them
bool DocumentReader::skip_known(DocumentBatch& batch) {
  const auto known = std::min(static_cast<size_t>(known_documents_), batch.size());
  if (known == 0) {
    return false;
  }
  const size_t bytes = batch.ends[known - 1];
  const auto count = static_cast<std::ptrdiff_t>(known);
  batch.text.erase(0, bytes);
  batch.ends.erase(batch.ends.begin(), batch.ends.begin() + count);
  batch.copies.erase(batch.copies.begin(), batch.copies.begin() + count);
  for (size_t& end : batch.ends) {
    end -= bytes;
  }
  known_documents_ -= static_cast<int64_t>(known);
  return batch.ends.empty();
}

std::optional<DocumentBatch> DocumentReader::next() {
  if (std::exchange(is_inside_next_, true)) {
    return std::nullopt;
  }
  DocumentBatch batch = read_batch();
  while (skip_known(batch)) {
    const int64_t known_bytes = batch.known_bytes + batch.source_bytes;
    batch = read_batch();
    batch.known_bytes = known_bytes;
  }
  is_inside_next_ = false;
  return batch.ends.empty() ? std::nullopt : std::optional(std::move(batch));
}

}  // namespace bertcram::data
