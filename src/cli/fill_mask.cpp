// bertcram fill-mask: text lines with [MASK] on stdin → what the model expects there.

#include <memory>
#include <nlohmann/json.hpp>

#include "bertcram/config/embed_config.h"
#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "line_chunks.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 16;

nlohmann::json to_json(std::string_view text, const std::vector<train::FilledMask>& masks) {
  nlohmann::json json = {{"text", std::string(text)}, {"masks", nlohmann::json::array()}};
  for (const train::FilledMask& mask : masks) {
    nlohmann::json top = nlohmann::json::array();
    for (const train::Guess& guess : mask.top) {
      top.push_back({{"token", guess.token}, {"id", guess.id}, {"probability", guess.probability}});
    }
    json["masks"].push_back({{"position", mask.position}, {"top", top}});
  }
  return json;
}

std::string to_text(std::string_view text, const std::vector<train::FilledMask>& masks) {
  std::string out = cat(text, "\n");
  for (const train::FilledMask& mask : masks) {
    for (const train::Guess& guess : mask.top) {
      out += cat("  ", masks.size() > 1 ? cat(mask.position, "  ") : "", util::format_fixed(100 * guess.probability, 1),
                 " %  ", guess.token, "\n");
    }
  }
  return out;
}

void run(config::FillMaskConfig& config, bool as_json, const Session& session) {
  const auto filler = training().open_mask_filler(config);
  LineChunks chunks(session.stop, "fill-mask", kChunkBytes);
  int64_t number = 0;
  for (std::string chunk = chunks.next(); !chunk.empty(); chunk = chunks.next()) {
    for (const std::string_view text : lines_of(chunk)) {
      util::throw_if_stopped(session.stop, "fill-mask: stopped");
      ++number;
      try {
        const auto masks = util::trim(text).empty() ? std::vector<train::FilledMask>() : filler->fill(text);
        write_stdout(as_json ? util::json_text(to_json(text, masks)) + "\n" : to_text(text, masks));
      } catch (const DataError& error) {
        throw DataError(cat("line ", number, " of standard input: ", error.what()));
      }
    }
  }
}

}  // namespace

Run setup_fill_mask(CLI::App& app) { return setup_configured(app, "print an object per line", run); }

}  // namespace bertcram::cli
