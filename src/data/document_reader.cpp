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

}  // namespace

std::string BadRecords::ordinal() const { return allowed > 0 ? cat("; it is bad record number ", found) : ""; }

DocumentReader::DocumentReader(const std::vector<fs::path>& files, const ReaderOptions& options)
    : DocumentReader(plain_inputs(files, options.input), options) {}

DocumentReader::DocumentReader(InputList inputs, ReaderOptions options)
    : inputs_(std::move(inputs)),
      options_(std::move(options)),
      intakes_(inputs_.sources.size()),
      bad_records_{.allowed = options_.input.max_bad_records, .found = 0} {}

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
  warn_about_bad_records(summary_);
  if (reached == Reached::kLimit) {
    util::log_info("data", cat(summary_.path, ": the limit of its source is reached, nothing more of it is read"));
  } else if (summary_.documents == 0 && summary_.documents_left_out == 0) {
    util::log_warning("data", cat(summary_.path, " holds no text"));
  }
  summaries_.push_back(std::move(summary_));
  source_.reset();
  ++file_;
}

/// Adds documents until the batch is complete or the input ends.
void DocumentReader::read_batch(DocumentBatch& batch) {
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
}

std::optional<DocumentBatch> DocumentReader::next() {
  if (std::exchange(has_failed_, true)) {
    return std::nullopt;
  }
  DocumentBatch batch;
  batch.text = std::exchange(open_document_, {});
  read_batch(batch);
  has_failed_ = false;
  if (batch.ends.empty()) {
    return std::nullopt;
  }
  open_document_ = batch.text.substr(batch.ends.back());  // goes on in the next batch
  batch.text.resize(batch.ends.back());
  return batch;
}

}  // namespace bertcram::data
