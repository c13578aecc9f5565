// bertcram encode: text lines on stdin → ids on stdout, one line each.

#include <charconv>
#include <limits>
#include <memory>
#include <span>

#include "bertcram/text/tokenizer.h"
#include "bertcram/util/error.h"
#include "bertcram/util/parallel.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "line_chunks.h"
#include "output.h"

namespace bertcram::cli {
namespace {

constexpr size_t kChunkBytes = size_t{4} << 20;

struct EncodeOptions {
  std::string tokenizer;
  bool cased = false;
  bool tokens = false;
  bool special = false;
  int64_t threads = 0;
};

/// The numbers, separated by spaces, and a newline.
void append_numbers(std::span<const int32_t> numbers, std::string& out) {
  constexpr size_t kLongest = std::numeric_limits<int32_t>::digits10 + 3;  // with sign and space
  const size_t begin = out.size();
  out.resize(begin + numbers.size() * kLongest + 1);
  char* at = out.data() + begin;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) {
      *at++ = ' ';
    }
    at = std::to_chars(at, at + kLongest, numbers[i]).ptr;
  }
  *at++ = '\n';
  out.resize(static_cast<size_t>(at - out.data()));
}

/// One line's ids or pieces, separated by spaces, with a newline at the end.
void append_line(const text::Tokenizer& tokenizer, const EncodeOptions& options, std::string_view line,
                 std::vector<int32_t>& ids, std::string& out) {
  ids.clear();
  if (options.special) {
    ids.push_back(*tokenizer.roles().cls);
  }
  tokenizer.encode(line, ids);
  if (options.special) {
    ids.push_back(*tokenizer.roles().sep);
  }
  if (options.tokens) {
    for (size_t i = 0; i < ids.size(); ++i) {
      out.append(i == 0 ? "" : " ").append(tokenizer.token(ids[i]));
    }
    out += '\n';
  } else {
    append_numbers(ids, out);
  }
}

/// Encodes whole lines on several threads. @return the output, in parts
std::vector<std::string> encode_lines(const text::Tokenizer& tokenizer, const EncodeOptions& options,
                                      std::string_view lines) {
  const int64_t workers = util::thread_count(options.threads);
  std::vector<std::string_view> shares;
  for (int64_t worker = workers; worker > 0 && !lines.empty(); --worker) {
    const size_t wanted = lines.size() / static_cast<size_t>(worker);
    const size_t newline = worker == 1 ? lines.size() - 1 : lines.find('\n', wanted);
    const size_t end = newline == std::string_view::npos ? lines.size() : newline + 1;
    shares.push_back(lines.substr(0, end));
    lines.remove_prefix(end);
  }
  std::vector<std::string> encoded(shares.size());
  util::WorkerGroup group;
  group.run(static_cast<int64_t>(shares.size()), [&](int64_t worker) {
    std::vector<int32_t> ids;
    std::string_view share = shares[static_cast<size_t>(worker)];
    while (!share.empty()) {
      append_line(tokenizer, options, take_line(share), ids, encoded[static_cast<size_t>(worker)]);
    }
  });
  return encoded;
}

void run(const EncodeOptions& options, const Session& session) {
  require_flags({{"--tokenizer", !options.tokenizer.empty()}});
  const auto tokenizer =
      text::load_tokenizer(options.tokenizer, options.cased ? std::optional(text::Casing::kCased) : std::nullopt);
  if (const auto roles = tokenizer->roles(); options.special && (!roles.cls || !roles.sep)) {
    tokenizer->special();  // says which are missing
  }
  LineChunks chunks(session.stop, "encode", kChunkBytes);
  for (std::string chunk = chunks.next(); !chunk.empty(); chunk = chunks.next()) {
    for (const std::string& part : encode_lines(*tokenizer, options, chunk)) {
      write_stdout(part);
    }
  }
}

}  // namespace

Run setup_encode(CLI::App& app) {
  const auto options = std::make_shared<EncodeOptions>();
  app.add_option("--tokenizer", options->tokenizer,
                 "tokenizer folder, Hugging Face folder, tokenizer.json,\nSentencePiece .model, or vocab.txt");
  app.add_flag("--cased", options->cased, "only for a bare vocab.txt: keep case and accents");
  app.add_flag("--tokens", options->tokens, "print pieces instead of ids");
  app.add_flag("--special", options->special, "put [CLS] before and [SEP] behind every line");
  take_count(app.add_option("--threads", options->threads, "worker threads; 0 = one per core [0]"), 0, 1024);
  return [options](const Session& session) { run(*options, session); };
}

}  // namespace bertcram::cli
