#pragma once

#include <string>
#include <vector>

#include "bertcram/config/field.h"

namespace bertcram::config {

/// Which documents `pack` leaves out. Everything beyond exact duplicates is off unless asked for; the manifest says what
/// each rule removed. None of the rules knows a language.
struct FilterConfig {
  int64_t min_chars = 1;
  double max_symbols = 1.0;
  double max_repetition = 1.0;
  double max_tokens_per_char = 0.0;
  double near_duplicates = 0.0;
  bool duplicate_paragraphs = false;
  std::vector<std::string> decontaminate;

  void visit(FieldVisitor& v) {
    v("min_chars", min_chars, "drop documents of fewer characters, line ends included", AtLeast{0});
    v("max_symbols", max_symbols,
      "drop documents in which a larger share of the characters that are no white space are neither letters, marks nor "
      "digits; 1 = keep all",
      InRange{0.0, 1.0});
    v("max_repetition", max_repetition,
      "drop documents in which a larger share of the runs of five words occurred before in the document; 1 = keep all",
      InRange{0.0, 1.0});
    v("max_tokens_per_char", max_tokens_per_char,
      "drop documents that need at least so many tokens per character (Geiping & Goldstein 2023 take 0.25 with a "
      "vocabulary of 32,768); 0 = keep all",
      InRange{0.0, 10.0});
    v("near_duplicates", near_duplicates,
      "drop documents that share about this part of their runs of five words with one that is kept (MinHash), e.g. "
      "0.8; 0 = keep all",
      InRange{0.0, 1.0});
    v("duplicate_paragraphs", duplicate_paragraphs,
      "drop lines of 40 bytes or more that occurred before, in any document");
    v("decontaminate", decontaminate,
      "evaluation files (text, TSV or JSON lines): drop documents that share a run of thirteen words with them");
  }
};

}  // namespace bertcram::config
