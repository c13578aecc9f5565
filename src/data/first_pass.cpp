#include "first_pass.h"

#include <optional>

#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/parallel.h"
#include "document_order.h"
#include "stop_messages.h"

namespace bertcram::data {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr int64_t kWorthSaving = 64 * kMebibyte;
constexpr size_t kMinParagraphBytes = 40;  // shorter lines, such as headings, recur by right

/// Bytes before the white space at the end.
size_t bytes_without_end_space(std::string_view text) {
  while (!text.empty()) {
    size_t begin = text.size() - 1;
    while (begin > 0 && text::is_continuation_byte(text[begin])) {
      --begin;
    }
    if (!text::is_whitespace(text::decode_utf8(text.substr(begin)).code_point)) {
      break;
    }
    text = text.substr(0, begin);
  }
  return text.size();
}

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t begin = std::min(line.find_first_not_of(kBlank), line.size());
  const size_t end = line.find_last_not_of(kBlank);
  return end == std::string_view::npos ? std::string_view() : line.substr(begin, end + 1 - begin);
}

/// Where a verdict is counted.
int64_t PackCounts::*field_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kShort: return &PackCounts::documents_short;
    case Verdict::kSymbols: return &PackCounts::documents_symbols;
    case Verdict::kRepetition: return &PackCounts::documents_repetitive;
    case Verdict::kContaminated: return &PackCounts::documents_contaminated;
    case Verdict::kIncompressible: return &PackCounts::documents_incompressible;
    case Verdict::kKeep: break;
  }
  BC_CHECK(false, "a kept document is not counted here");
  return nullptr;
}

}  // namespace

FirstPass::FirstPass(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context,
                     WorkFolder& work, Buckets& buckets, NearDuplicates* near_duplicates)
    : config_(config),
      tokenizer_(tokenizer),
      context_(context),
      work_(work),
      buckets_(buckets),
      near_duplicates_(near_duplicates),
      filters_(config.filters, context.stop),
      counts_(work.saved().counts),
      files_finished_(work.saved().position.finished.size()),
      documents_of_open_file_(work.saved().position.documents) {}

PackCounts FirstPass::run(DocumentReader& reader, util::Progress& progress) {
  util::WorkerGroup workers;
  try {
    workers.run(util::thread_count(config_.threads), [&](int64_t) {
      Workspace space;
      while (const auto batch = workers.failed() ? std::nullopt : next_batch(reader)) {
        if (batch->known_bytes > 0) {
          progress.add_earlier(batch->known_bytes);
        }
        work_on(*batch, space);
        progress.add(batch->source_bytes);
      }
    });
  } catch (const util::StoppedError&) {
    save(reader);
    throw;
  } catch (const DataError&) {
    save_if_worth_it(reader);
    throw;
  }
  save_if_worth_it(reader);
  return counts_;
}

std::optional<DocumentBatch> FirstPass::next_batch(DocumentReader& reader) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !is_saving_; });
  util::throw_if_stopped(context_.stop, kPackStopped);
  if (unsaved_bytes_ >= config_.save_every * kMebibyte) {
    save_alone(lock, reader);
  }
  if (has_failed_) {
    return std::nullopt;
  }
  auto batch = reader.next();
  if (batch) {
    files_finished_ = reader.summaries().size();
    documents_of_open_file_ = reader.documents_of_open_file();
    ++batches_in_work_;
    unsaved_bytes_ += static_cast<int64_t>(batch->text.size());
  }
  return batch;
}

/// The other threads finish their batches and wait.
void FirstPass::save_alone(std::unique_lock<std::mutex>& lock, const DocumentReader& reader) {
  is_saving_ = true;
  changed_.wait(lock, [&] { return batches_in_work_ == 0; });
  try {
    save(reader);
  } catch (...) {
    has_failed_ = true;
    is_saving_ = false;
    changed_.notify_all();
    throw;
  }
  is_saving_ = false;
  changed_.notify_all();
}

void FirstPass::work_on(const DocumentBatch& batch, Workspace& space) {
  space.counts = {};
  try {
    for (size_t i = 0; i < batch.size(); ++i) {
      take(batch[i], batch.copies[i], space);
    }
  } catch (...) {
    leave_batch(Outcome::kFailed, space);
    throw;
  }
  leave_batch(Outcome::kDone, space);
}

void FirstPass::leave_batch(Outcome outcome, const Workspace& space) {
  const std::lock_guard lock(mutex_);
  --batches_in_work_;
  if (outcome == Outcome::kDone) {
    counts_ += space.counts;
  } else {
    has_failed_ = true;
  }
  changed_.notify_all();
}

/// What takes a second to do again is not worth the time of writing it down for the first time.
void FirstPass::save_if_worth_it(const DocumentReader& reader) {
  if (unsaved_bytes_ > (work_.has_saved() ? 0 : kWorthSaving)) {
    save(reader);
  }
}

/// REQUIRES: no batch is in work. Nothing is saved once a batch has failed: what is spilled belongs to no position then.
void FirstPass::save(const DocumentReader& reader) {
  if (has_failed_ || counts_.documents_read == 0) {
    return;
  }
  const auto& summaries = reader.summaries();
  PackProgress progress = {.counts = counts_, .position = {.finished = {}, .documents = documents_of_open_file_}};
  progress.position.finished.assign(summaries.begin(),
                                    summaries.begin() + static_cast<std::ptrdiff_t>(files_finished_));
  work_.save(progress);
  unsaved_bytes_ = 0;
}

/// A copy lies at a place of its own, and equal copies of equal texts lie side by side.
void FirstPass::take(std::string_view text, int64_t copies, Workspace& space) const {
  ++space.counts.documents_read;
  space.counts.text_bytes += static_cast<int64_t>(text.size());
  Verdict verdict = filters_.judge(text, space.words);
  if (verdict == Verdict::kKeep) {
    space.counts.invalid_utf8 += text::count_invalid_utf8(text);
    verdict = encode(text, space);
  }
  if (verdict != Verdict::kKeep) {
    ++(space.counts.*field_of(verdict));
    return;
  }
  const util::Hash128 content = util::hash128(text);
  const uint64_t first_place = document_place(config_.order, config_.seed, text, content);
  const uint32_t number = near_duplicates_ == nullptr ? 0 : near_duplicates_->add(space.words, first_place);
  for (int64_t copy = 0; copy < copies; ++copy) {
    buckets_.add({.content = content,
                  .place = place_of_copy(config_.order, first_place, static_cast<uint64_t>(copy)),
                  .number = number,
                  .copy = static_cast<uint32_t>(copy),
                  .ids = space.ids,
                  .paragraphs = space.paragraphs});
  }
}

Verdict FirstPass::encode(std::string_view text, Workspace& space) const {
  space.ids.clear();
  space.paragraphs.clear();
  if (config_.filters.duplicate_paragraphs) {
    encode_paragraphs(text, space);
  } else {
    tokenizer_.encode(text, space.ids, {.special_in_text = text::SpecialInText::kPlainText});
  }
  return filters_.judge_tokens(text, space.ids.size());
}

/// Only the second pass knows which lines go, so each is encoded by itself, with the line ends and other white space
/// before it: there every tokenizer that knows line ends begins a word, and the ids of the lines together are those of
/// the text.
void FirstPass::encode_paragraphs(std::string_view text, Workspace& space) const {
  text::EncodeOptions options = {.special_in_text = text::SpecialInText::kPlainText};
  size_t taken = 0;
  const auto take_until = [&](size_t end) {
    tokenizer_.encode(text.substr(taken, end - taken), space.ids, options);
    taken = end;
    options.before = text::Before::kText;
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    if (const size_t bytes = bytes_without_end_space(line); bytes > 0) {
      take_until(begin + bytes);
      const std::string_view content = trimmed(line);
      space.paragraphs.push_back(
          {.content = content.size() < kMinParagraphBytes ? 0 : util::hash64(content), .end = space.ids.size()});
    }
    begin = end + 1;
  }
  if (taken < text.size()) {
    take_until(text.size());
  }
}

}  // namespace bertcram::data
