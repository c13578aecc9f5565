#pragma once

#include <array>
#include <string_view>

#include "bertcram/config/field.h"
#include "bertcram/config/text_input_config.h"

namespace bertcram::config {

enum class TokenizerType { kWordPiece, kUnigram, kBpe };
constexpr std::array<std::string_view, 3> enum_words(TokenizerType) { return {"wordpiece", "unigram", "bpe"}; }

/// Options of `bertcram tokenize`.
struct TokenizeConfig {
  std::vector<std::string> input;
  TextInputConfig text;
  std::string output;
  TokenizerType type = TokenizerType::kWordPiece;
  int64_t vocab_size = 32'768;
  bool cased = false;
  int64_t min_frequency = 2;
  int64_t limit_alphabet = 1000;
  double character_coverage = 0.9995;
  int64_t sample_bytes = 64'000'000;
  int64_t threads = 0;
  bool overwrite = false;

  void visit(FieldVisitor& v) {
    v("input", input,
      "text, JSON lines or Parquet to learn from: files, folders or globs, plain, .gz, .xz or .zst; a YAML list of "
      "sources with weights and limits; - is standard input",
      Untracked{});
    text.visit(v);
    v("output", output, "folder for the tokenizer", Untracked{});
    v("type", type, "kind of tokenizer");
    v("vocab_size", vocab_size, "number of pieces, special tokens included; 32k is 32000", InRange{10, 1'000'000});
    v("cased", cased, "keep upper case and accents");
    v("min_frequency", min_frequency, "wordpiece: a pair of pieces is merged only if it occurs this often", AtLeast{1});
    v("limit_alphabet", limit_alphabet, "wordpiece: keep at most this many different characters", AtLeast{1});
    v("character_coverage", character_coverage,
      "unigram, bpe: share of the text's characters whose kinds become pieces; the rarest are left unknown",
      InRange{0.9, 1.0});
    v("sample_bytes", sample_bytes,
      "unigram, bpe: learn from a random sample of the lines of at most so many bytes; memory: about 25 times that",
      AtLeast{1000});
    v("threads", threads, "worker threads; 0 = one per core", InRange{0, 1024}, Untracked{});
    v("overwrite", overwrite, "replace a tokenizer that is already in the output folder", Untracked{});
  }
};

}  // namespace bertcram::config
