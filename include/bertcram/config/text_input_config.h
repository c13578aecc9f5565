#pragma once

#include <array>
#include <string>
#include <string_view>

#include "bertcram/config/field.h"

namespace bertcram::config {

enum class TextFormat { kAuto, kBlocks, kLines, kJsonl };
constexpr std::array<std::string_view, 4> enum_words(TextFormat) { return {"auto", "blocks", "lines", "jsonl"}; }

/// How the files of `tokenize` and `pack` are read.
struct TextInputConfig {
  TextFormat format = TextFormat::kAuto;
  std::string text_field = "text";
  int64_t max_bad_records = 100;

  void visit(FieldVisitor& v) {
    v("format", format,
      "how text files hold documents: blocks between blank lines, lines, or jsonl (an object per line); auto = jsonl "
      "where the first lines are objects (one of them may be damaged), else blocks");
    v("text_field", text_field, "field of a JSON object, or column of a Parquet file, that holds the document");
    v("max_bad_records", max_bad_records,
      "JSON lines or Parquet rows without a text that are skipped before the input is refused", AtLeast{0},
      Untracked{});
  }
};

}  // namespace bertcram::config
