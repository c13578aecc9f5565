// bertcram embed: text lines on stdin → vectors on stdout, one line each.

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "bertcram/config/embed_config.h"
#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "command.h"
#include "config_flags.h"
#include "line_chunks.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

/// Texts of like length are put together, which needs many to choose from.
constexpr size_t kChunkBytes = size_t{4} << 20;

/// Numbers as short as they can be without losing a bit.
void append_numbers(std::span<const float> numbers, const char* separator, std::string& out) {
  std::array<char, 32> digits;
  for (size_t i = 0; i < numbers.size(); ++i) {
    out.append(i == 0 ? "" : separator);
    out.append(digits.data(), std::to_chars(digits.begin(), digits.end(), numbers[i]).ptr);
  }
}

void append_line(std::string_view text, std::span<const float> vector, bool as_json, std::string& out) {
  if (!as_json) {
    append_numbers(vector, " ", out);
    out += '\n';
    return;
  }
  out += "{\"text\":";
  out += util::json_text(nlohmann::json(std::string(text)));
  out += ",\"embedding\":[";
  append_numbers(vector, ",", out);
  out += "]}\n";
}

void run(config::EmbedConfig& config, bool as_json, const Session& session) {
  const auto embedder = training().open_embedder(config, session.stop);
  const auto width = static_cast<size_t>(embedder->width());
  for_each_lines(session.stop, "embed", kChunkBytes, [&](int64_t /*first*/, std::span<const std::string_view> texts) {
    const std::vector<float> vectors = embedder->embed(texts);
    std::string out;
    for (size_t i = 0; i < texts.size(); ++i) {
      append_line(texts[i], std::span(vectors).subspan(i * width, width), as_json, out);
    }
    write_stdout(out);
  });
  warn_of_cut_texts("embed", embedder->truncated());
}

}  // namespace

Run setup_embed(CLI::App& app) {
  return setup_configured(app, "print an object with text and embedding per line", run);
}

}  // namespace bertcram::cli
