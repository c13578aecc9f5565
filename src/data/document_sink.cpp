#include "document_sink.h"

#include <cmath>

#include "bertcram/util/hash.h"
#include "bertcram/util/random.h"
#include "bertcram/util/text.h"

namespace bertcram::data {

int64_t copies_of(std::string_view document, double weight, uint64_t seed) {
  const double whole = std::floor(weight);
  if (whole == weight) {
    return static_cast<int64_t>(whole);
  }
  const util::Hash128 content = util::hash128(document);
  util::RandomStream random(seed, util::RandomPurpose::kSourceSampling, {content.high, content.low});
  return static_cast<int64_t>(whole) + (random.uniform() < weight - whole ? 1 : 0);
}

void DocumentSink::add_line(std::string_view line) {
  batch.text.append(line);
  batch.text += '\n';
}

void DocumentSink::end_document() {
  const size_t begin = batch.ends.empty() ? 0 : batch.ends.back();
  const auto document = std::string_view(batch.text).substr(begin);
  if (document.empty()) {
    return;
  }
  if (!is_within_limits(document.size())) {
    batch.text.resize(begin);
    return;
  }
  const int64_t copies = copies_of(document, source.weight, options.seed);
  if (copies == 0) {
    ++summary.documents_left_out;
    batch.text.resize(begin);
    return;
  }
  batch.ends.push_back(batch.text.size());
  batch.copies.push_back(copies);
  ++summary.documents;
}

void DocumentSink::add_document(std::string_view text) {
  std::string clean;
  if (text.find('\0') != std::string_view::npos) {
    clean = text;
    summary.nul_bytes += static_cast<int64_t>(std::erase(clean, '\0'));
    text = clean;
  }
  if (!util::trim(text).empty()) {
    add_line(text.ends_with('\n') ? text.substr(0, text.size() - 1) : text);
    end_document();
  }
}

bool DocumentSink::wants_more() const {
  return !intake.is_over && (batch.ends.empty() || batch.ends.back() < options.batch_bytes);
}

/// Counts the document if it is. The limits look at what is read, and the weight chooses among that: otherwise another
/// weight would read other documents.
bool DocumentSink::is_within_limits(size_t document_bytes) {
  const auto bytes = static_cast<int64_t>(document_bytes);
  if (intake.is_over || (source.max_bytes > 0 && intake.bytes + bytes > source.max_bytes)) {
    intake.is_over = true;
    return false;
  }
  ++intake.documents;
  intake.bytes += bytes;
  summary.document_bytes += bytes;
  intake.is_over = source.max_documents > 0 && intake.documents >= source.max_documents;
  return true;
}

}  // namespace bertcram::data
