#include "inspect_packed.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/data/packed_files.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"
#include "output.h"

namespace bertcram::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using util::format_count;

constexpr int64_t kShownRows = 3;  ///< of each split

struct Row {
  const char* split;
  int64_t number;
  std::vector<int32_t> ids;
  std::vector<int32_t> bounds;  ///< of its documents
  std::string text;
};

/// The first rows of a split.
void add_rows(const char* split, const data::RowStore& rows, const text::Tokenizer& tokenizer, std::vector<Row>& out) {
  for (int64_t number = 0; number < std::min(kShownRows, rows.rows()); ++number) {
    std::vector<int32_t> ids(static_cast<size_t>(rows.seq_len()));
    rows.read_row(number, ids);
    std::string text = tokenizer.decode(ids);
    auto bounds = data::document_bounds(ids, tokenizer.special().sep);
    out.push_back({.split = split,
                   .number = number,
                   .ids = std::move(ids),
                   .bounds = std::move(bounds),
                   .text = std::move(text)});
  }
}

json to_json(const json& manifest, const std::vector<Row>& rows) {
  json list = json::array();
  for (const Row& row : rows) {
    list.push_back({{"split", row.split},
                    {"row", row.number},
                    {"ids", row.ids},
                    {"document_bounds", row.bounds},
                    {"text", row.text}});
  }
  return {{"manifest", manifest}, {"rows", list}};
}

std::string describe_source(const json& source) {
  std::string line =
      cat("  ", source.at("path").get<std::string>(), ": ", util::format_bytes(source.at("file_bytes").get<int64_t>()),
          ", ", format_count(source.at("documents").get<int64_t>()), " documents");
  if (const std::string format = source.value("format", ""); !format.empty()) {
    line += " (" + format + ")";
  }
  if (const auto bad = source.value("bad_records", int64_t{0}); bad > 0) {
    line += cat(", ", format_count(bad), source.value("format", "") == "parquet" ? " rows" : " lines", " skipped");
  }
  return line + "\n";
}

std::string to_text(const fs::path& folder, const json& manifest, const std::vector<Row>& rows) {
  const json& counts = manifest.at("counts");
  const auto count = [&](const char* name) { return format_count(counts.at(name).get<int64_t>()); };
  std::string text =
      cat(folder.string(), ": ", count("train_rows"), " rows for training and ", count("valid_rows"), " held out, ",
          manifest.at("seq_len").get<int64_t>(), " tokens each\nvocabulary ",
          format_count(manifest.at("vocab_size").get<int64_t>()), ", ", count("tokens"), " tokens of ",
          util::format_bytes(counts.at("text_bytes").get<int64_t>()), " of text; unigram entropy ",
          util::format_fixed(manifest.at("unigram_entropy_nats").get<double>(), 3), " nats per token; order ",
          manifest.value("order", "shuffled"), ", seed ", manifest.at("seed").get<int64_t>(), "\n",
          count("documents_read"), " documents read: ", count("documents_train"), " for training, ",
          count("documents_valid"), " held out\nfilters:\n");
  for (const auto& [name, filter] : manifest.at("filters").items()) {
    text += cat("  ", name, " ", filter.at("value").dump(), ": ", format_count(filter.at("removed").get<int64_t>()),
                name == "duplicate_paragraphs" ? " lines" : " documents", " removed\n");
  }
  text += "sources:\n";
  for (const json& source : manifest.at("sources")) {
    text += describe_source(source);
  }
  for (const Row& row : rows) {
    const auto parts = static_cast<int64_t>(row.bounds.size()) - 1;
    text += cat("\n", row.split, " row ", row.number, " (parts of ", parts, parts == 1 ? " document" : " documents",
                "): ", row.text, "\n");
  }
  return text;
}

}  // namespace

void inspect_packed(const fs::path& folder, bool as_json) {
  const auto packed = data::read_packed_manifest(folder);
  const auto tokenizer = text::load_tokenizer(folder / data::kTokenizerFolder, std::nullopt);
  if (tokenizer->fingerprint() != packed.tokenizer_fingerprint || tokenizer->vocab_size() != packed.vocab_size) {
    throw DataError(cat(folder.string(),
                        ": the tokenizer in it is not the one that its shards were packed with; pack the data again"));
  }
  std::vector<Row> rows;
  add_rows("train", data::RowStore(folder, packed.train_shards, packed), *tokenizer, rows);
  add_rows("valid", data::RowStore(folder, packed.valid_shards, packed), *tokenizer, rows);
  try {
    const json manifest = util::parse_json(util::read_file(folder / data::kManifestFile));
    print_result(as_json, to_json(manifest, rows), to_text(folder, manifest, rows));
  } catch (const json::exception& error) {
    throw DataError(cat((folder / data::kManifestFile).string(), ": damaged manifest (",
                        util::json_error_text(error.what()), "); pack the data again"));
  }
}

}  // namespace bertcram::cli
