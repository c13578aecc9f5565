// bertcram pack: text → shuffled, packed token shards.

#include "bertcram/config/pack_config.h"
#include "bertcram/data/packer.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "inspect_packed.h"
#include "output.h"

namespace bertcram::cli {
namespace {

nlohmann::json to_json(const config::PackConfig& config, const data::PackCounts& counts) {
  nlohmann::json object = {{"output", config.output}, {"unigram_entropy_nats", counts.unigram_entropy}};
  for (const auto& [name, field] : data::PackCounts::fields()) {
    object[std::string(name)] = counts.*field;
  }
  return object;
}

/// "12 duplicates, 3 short ones dropped": the rules that removed something.
std::string dropped(const data::PackCounts& counts) {
  std::string text;
  const auto say = [&](int64_t count, const char* what) {
    if (count > 0) {
      text += cat(text.empty() ? "" : ", ", util::format_count(count), what);
    }
  };
  say(counts.documents_duplicate, " duplicates");
  say(counts.documents_near_duplicate, " near-duplicates");
  say(counts.documents_short, " short ones");
  say(counts.documents_symbols, " full of symbols");
  say(counts.documents_repetitive, " repetitive ones");
  say(counts.documents_incompressible, " incompressible ones");
  say(counts.documents_contaminated, " that share text with evaluation data");
  return text.empty() ? "none dropped" : text + " dropped";
}

std::string to_text(const config::PackConfig& config, const data::PackCounts& counts) {
  using util::format_count;
  std::string text = cat(format_count(counts.documents_read), " documents (", util::format_bytes(counts.text_bytes),
                         "): ", dropped(counts), "\n");
  if (counts.documents_left_out > 0 || counts.documents_repeated > 0) {
    text += cat(format_count(counts.documents_left_out), " documents left out by the weights of their sources, ",
                format_count(counts.documents_repeated), " repeated\n");
  }
  if (counts.paragraphs_duplicate > 0) {
    text += cat(format_count(counts.paragraphs_duplicate), " duplicate lines left out of documents\n");
  }
  if (counts.invalid_utf8 > 0 || counts.nul_bytes > 0) {
    text += cat(format_count(counts.invalid_utf8), " invalid UTF-8 sequences replaced, ",
                format_count(counts.nul_bytes), " NUL bytes dropped\n");
  }
  if (counts.bad_records > 0) {
    text += cat(format_count(counts.bad_records), " lines or rows without a text skipped\n");
  }
  return text + cat(format_count(counts.tokens), " tokens in ", format_count(counts.train_rows), " rows for training, ",
                    format_count(counts.valid_rows), " held out (", config.seq_len, " tokens each); unigram entropy ",
                    util::format_fixed(counts.unigram_entropy, 3), " nats per token\npacked data in ", config.output,
                    "\n");
}

void run(const config::PackConfig& config, bool as_json, const Session& session) {
  outlive_readers();
  require_flags({{"--input", !config.input.empty()},
                 {"--tokenizer", !config.tokenizer.empty()},
                 {"--output", !config.output.empty()}});
  const auto tokenizer = text::load_tokenizer(config.tokenizer, std::nullopt);
  tokenizer->special();  // a tokenizer without [CLS] or [MASK] is refused before the text is read
  const auto counts = data::run_pack(config, *tokenizer, {.stop = session.stop, .progress = session.progress});
  print_result(as_json, to_json(config, counts), to_text(config, counts));
}

}  // namespace

Run setup_pack(CLI::App& app) {
  const auto config = std::make_shared<config::PackConfig>();
  const auto as_json = std::make_shared<bool>(false);
  const auto inspected = std::make_shared<std::string>();
  ConfigFlags flags(app);
  flags.add_top_level(config::fields_of(*config));
  flags.add_config_options();
  app.add_flag("--json", *as_json, "print the result as JSON");
  app.add_option("--inspect", *inspected,
                 "print what this packed folder holds and a few of its rows, and pack nothing");
  return [config, as_json, inspected, flags](const Session& session) {
    flags.apply(config::fields_of(*config), session);
    if (!inspected->empty()) {
      inspect_packed(*inspected, *as_json);
      return;
    }
    run(*config, *as_json, session);
  };
}

}  // namespace bertcram::cli
