#pragma once

#include <array>
#include <string_view>

#include "bertcram/config/field.h"
#include "bertcram/config/filter_config.h"
#include "bertcram/config/text_input_config.h"

namespace bertcram::config {

enum class Dedup { kExact, kNone };
constexpr std::array<std::string_view, 2> enum_words(Dedup) { return {"exact", "none"}; }

enum class DocumentOrder { kShuffled, kCurriculum };
constexpr std::array<std::string_view, 2> enum_words(DocumentOrder) { return {"shuffled", "curriculum"}; }

/// Options of `bertcram pack`.
struct PackConfig {
  std::vector<std::string> input;
  TextInputConfig text;
  std::string tokenizer;
  std::string output;
  int64_t seq_len = 128;
  double valid_frac = 0.005;
  Dedup dedup = Dedup::kExact;
  FilterConfig filters;
  DocumentOrder order = DocumentOrder::kShuffled;
  int64_t seed = 0;
  int64_t shard_rows = 262'144;
  int64_t save_every = 1024;
  int64_t threads = 0;
  bool overwrite = false;

  void visit(FieldVisitor& v) {
    v("input", input,
      "text, JSON lines or Parquet: files, folders or globs, plain, .gz, .xz or .zst; a YAML list of sources with "
      "weights and limits; - is standard input",
      Untracked{});
    text.visit(v);
    v("tokenizer", tokenizer, "tokenizer folder, vocab.txt or SentencePiece .model", Untracked{});
    v("output", output, "folder for the packed data", Untracked{});
    v("seq_len", seq_len, "tokens per row, [CLS] included", InRange{8, 8192});
    v("valid_frac", valid_frac, "share of the documents held out for validation, chosen by content", InRange{0.0, 0.5});
    v("dedup", dedup, "drop documents whose whole text occurred before");
    filters.visit(v);
    v("order", order,
      "order of the documents: shuffled, or curriculum, those of short sentences first, in which pretrain then reads "
      "them");
    v("seed", seed, "seed of the document order", AtLeast{0});
    v("shard_rows", shard_rows, "rows per shard file", AtLeast{1});
    v("save_every", save_every,
      "MiB of text after which the work so far is kept on the disk; an interrupted pack goes on from there",
      InRange{1, 1 << 20}, Untracked{});
    v("threads", threads, "worker threads; 0 = one per core", InRange{0, 1024}, Untracked{});
    v("overwrite", overwrite, "replace packed data that is already in the output folder", Untracked{});
  }
};

}  // namespace bertcram::config
