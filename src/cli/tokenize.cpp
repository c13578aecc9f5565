// bertcram tokenize: raw text → tokenizer folder.

#include "bertcram/data/tokenizer_training.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "output.h"

namespace bertcram::cli {
namespace {

void run(config::TokenizeConfig& config, bool as_json, const Session& session) {
  outlive_readers();
  require_flags({{"--input", !config.input.empty()}, {"--output", !config.output.empty()}});
  const auto result = data::run_tokenize(config, {.stop = session.stop, .progress = session.progress});
  print_result(
      as_json,
      {{"output", config.output},
       {"vocab_size", result.vocab_size},
       {"words", result.words},
       {"invalid_utf8", result.invalid_utf8},
       {"fingerprint", result.fingerprint}},
      cat(result.invalid_utf8 > 0 ? cat(util::format_count(result.invalid_utf8), " invalid UTF-8 sequences replaced\n")
                                  : "",
          "tokenizer with ", result.vocab_size, " pieces in ", config.output, "\n"));
}

}  // namespace

Run setup_tokenize(CLI::App& app) { return setup_configured(app, "print the result as JSON", run); }

}  // namespace bertcram::cli
