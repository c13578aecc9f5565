#pragma once

#include <array>
#include <string_view>

#include "bertcram/config/field.h"
#include "bertcram/config/text_input_config.h"

namespace bertcram::config {

enum class TokenizerType { kWordPiece };
constexpr std::array<std::string_view, 1> enum_words(TokenizerType) { return {"wordpiece"}; }

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
    v("vocab_size", vocab_size, "number of pieces, special tokens included", InRange{10, 1'000'000});
    v("cased", cased, "keep upper case and accents");
    v("min_frequency", min_frequency, "a pair of pieces is merged only if it occurs this often", AtLeast{1});
    v("limit_alphabet", limit_alphabet, "keep at most this many different characters", AtLeast{1});
    v("threads", threads, "worker threads; 0 = one per core", InRange{0, 1024}, Untracked{});
    v("overwrite", overwrite, "replace a tokenizer that is already in the output folder", Untracked{});
  }
};

}  // namespace bertcram::config
