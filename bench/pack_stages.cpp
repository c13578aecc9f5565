// What each stage of `bertcram pack` costs on one thread:
//
//   cmake --build build --target pack_stages && build/pack_stages TOKENIZER TEXT…
//
// Each stage is run by itself over all documents, which are in memory, five times; medians. MB are 10^6 bytes of raw text.
// Reading includes decompression; writing is everything behind the ids: buckets, their sorting, rows, checksums, fsync.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "bertcram/data/document_reader.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/hash.h"
#include "data/buckets.h"
#include "data/filters.h"
#include "data/near_duplicates.h"
#include "data/row_packer.h"
#include "data/word_runs.h"
#include "util/test_support.h"

namespace {

using namespace bertcram;

constexpr int kRepeats = 5;

std::vector<data::DocumentBatch> read_all(const std::vector<std::filesystem::path>& files) {
  data::DocumentReader reader(files);
  std::vector<data::DocumentBatch> batches;
  while (auto batch = reader.next()) {
    batches.push_back(std::move(*batch));
  }
  return batches;
}

/// Prints the median time of a stage as a speed.
void measure(const char* stage, double megabytes, const std::function<void()>& run) {
  std::vector<double> seconds;
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::sort(seconds);
  std::printf("%-44s %6.1f ns/byte  %7.1f MB/s  (%.3f to %.3f s)\n", stage, 1e3 * seconds[kRepeats / 2] / megabytes,
              megabytes / seconds[kRepeats / 2], seconds.front(), seconds.back());
}

/// All documents as they leave the first pass.
class Bench {
 public:
  Bench(const std::string& tokenizer, std::vector<std::filesystem::path> files)
      : tokenizer_(text::load_tokenizer(tokenizer, std::nullopt)),
        files_(std::move(files)),
        batches_(read_all(files_)) {
    for_each_document([&](std::string_view text) {
      bytes_ += text.size();
      ids_.emplace_back();
      tokenizer_->encode(text, ids_.back(), {.special_in_text = text::SpecialInText::kPlainText});
    });
  }

  void run() {
    const double megabytes = static_cast<double>(bytes_) / 1e6;
    measure("read: decompress, cut into documents", megabytes, [&] { read_all(files_); });
    measure("check UTF-8", megabytes, [&] { sum([](auto text) { return text::count_invalid_utf8(text); }); });
    measure("hash the text (exact duplicates)", megabytes,
            [&] { sum([](auto text) { return static_cast<int64_t>(util::hash128(text).low); }); });
    const text::Normalizer normalizer({});
    measure("normalise, cut into words", megabytes, [&] { normalise(normalizer); });
    measure("normalise and encode", megabytes, [&] { encode(); });
    measure("filter: words", megabytes, [&] { sum([&](auto text) { return hash_words(text); }); });
    measure("filter: symbols, repetition, with words", megabytes, [&] { judge(); });
    measure("near-duplicates: signatures, with words", megabytes, [&] { sign(); });
    measure("write", megabytes, [&] { write(); });
  }

 private:
  template <class Visit>
  void for_each_document(Visit visit) const {
    for (const data::DocumentBatch& batch : batches_) {
      for (size_t i = 0; i < batch.size(); ++i) {
        visit(batch[i]);
      }
    }
  }

  /// Keeps the compiler from leaving work out.
  template <class Of>
  void sum(Of of) {
    for_each_document([&](std::string_view text) { checksum_ += of(text); });
  }

  void normalise(const text::Normalizer& normalizer) {
    text::WordScanner scanner(normalizer);
    sum([&](std::string_view text) {
      int64_t words = 0;
      scanner.reset(text);
      for (auto word = scanner.next(); !word.empty(); word = scanner.next()) {
        ++words;
      }
      return words;
    });
  }

  void encode() {
    std::vector<int32_t> ids;
    sum([&](std::string_view text) {
      ids.clear();
      tokenizer_->encode(text, ids, {.special_in_text = text::SpecialInText::kPlainText});
      return static_cast<int64_t>(ids.size());
    });
  }

  int64_t hash_words(std::string_view text) {
    data::hash_words(text, words_);
    return static_cast<int64_t>(words_.size());
  }

  void judge() {
    config::FilterConfig config;
    config.max_symbols = 0.5;
    config.max_repetition = 0.5;
    const data::DocumentFilters filters(config);
    sum([&](std::string_view text) { return static_cast<int64_t>(filters.judge(text, words_)); });
  }

  void sign() {
    sum([&](std::string_view text) {
      data::hash_words(text, words_);
      return static_cast<int64_t>(data::min_hash(words_).value_or(data::MinHashSignature{})[0]);
    });
  }

  void write() const {
    const test::ScratchDirectory folder;
    data::WorkFolder work(folder.path(), "", {}, data::Foreign::kDrop);
    const int64_t width = data::bytes_per_id(tokenizer_->vocab_size());
    data::Buckets buckets(work, width);
    size_t number = 0;
    for_each_document([&](std::string_view text) {
      const util::Hash128 content = util::hash128(text);
      buckets.add({.content = content, .place = content.high, .ids = ids_[number++], .paragraphs = {}});
    });
    data::RowPacker rows(folder.path(), "train", {.seq_len = 128, .bytes_per_id = width}, 1 << 20,
                         tokenizer_->special());
    buckets.for_each_in_order([&](const data::PackedDocument& document) { rows.add_document(document.ids); });
    rows.finish();
  }

  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::vector<std::filesystem::path> files_;
  std::vector<data::DocumentBatch> batches_;
  std::vector<std::vector<int32_t>> ids_;
  std::vector<uint64_t> words_;
  size_t bytes_ = 0;
  int64_t checksum_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: pack_stages TOKENIZER TEXT...\n", stderr);
    return 2;
  }
  Bench(argv[1], {argv + 2, argv + argc}).run();
  return 0;
}
