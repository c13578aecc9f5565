#include "first_pass.h"

#include <optional>

#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/parallel.h"
#include "bertcram/util/random.h"
#include "pack_stop.h"

namespace bertcram::data {
namespace {

using util::RandomPurpose;

constexpr size_t kMinParagraphBytes = 40;  // shorter lines, such as headings, recur by right

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
                     Buckets& buckets, NearDuplicates* near_duplicates)
    : config_(config),
      tokenizer_(tokenizer),
      context_(context),
      buckets_(buckets),
      near_duplicates_(near_duplicates),
      filters_(config.filters) {}

void FirstPass::run(DocumentReader& reader, util::Progress& progress, PackCounts& counts) {
  util::WorkerGroup workers;
  const auto next_batch = [&]() -> std::optional<DocumentBatch> {
    const std::lock_guard lock(mutex_);
    stop_packing_if_asked(context_.stop);
    return workers.failed() ? std::nullopt : reader.next();
  };
  workers.run(util::thread_count(config_.threads), [&](int64_t) {
    Workspace space;
    while (const auto batch = next_batch()) {
      for (size_t i = 0; i < batch->size(); ++i) {
        take((*batch)[i], batch->copies[i], space);
      }
      progress.add(batch->source_bytes);
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [name, field] : PackCounts::fields()) {
      counts.*field += space.counts.*field;
    }
  });
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
  const uint64_t first_place =
      util::mix_key({static_cast<uint64_t>(config_.seed), static_cast<uint64_t>(RandomPurpose::kDocumentOrder),
                     content.high, content.low});
  const uint32_t number = near_duplicates_ == nullptr ? 0 : near_duplicates_->add(space.words, first_place);
  for (int64_t copy = 0; copy < copies; ++copy) {
    buckets_.add({.content = content,
                  .place = copy == 0 ? first_place : util::mix64(first_place ^ static_cast<uint64_t>(copy)),
                  .number = number,
                  .copy = static_cast<uint32_t>(copy),
                  .ids = space.ids,
                  .paragraphs = space.paragraphs});
  }
}

Verdict FirstPass::encode(std::string_view text, Workspace& space) const {
  const text::EncodeOptions plain = {.special_in_text = text::SpecialInText::kPlainText};
  space.ids.clear();
  space.paragraphs.clear();
  if (!config_.filters.duplicate_paragraphs) {
    tokenizer_.encode(text, space.ids, plain);
    return filters_.judge_tokens(text, space.ids.size());
  }
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trimmed(text.substr(begin, end - begin));
    tokenizer_.encode(line, space.ids, plain);
    space.paragraphs.push_back(
        {.content = line.size() < kMinParagraphBytes ? 0 : util::hash64(line), .end = space.ids.size()});
    begin = end + 1;
  }
  return filters_.judge_tokens(text, space.ids.size());
}

}  // namespace bertcram::data
