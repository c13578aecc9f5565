#pragma once
// manifest.json of a packed folder, from the writer's side: what was asked for, and what came of it.

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/config/pack_config.h"
#include "bertcram/data/document_reader.h"
#include "bertcram/data/packer.h"
#include "bertcram/text/tokenizer.h"

namespace bertcram::data {

/// Hash of the options, the tokenizer, what source lists say and the evaluation files that documents are compared with:
/// together with the inputs' content it decides the result. @throws DataError if such a file cannot be read
std::string pack_request(const config::PackConfig& config, const text::Tokenizer& tokenizer, const InputList& inputs);

nlohmann::json pack_manifest(const config::PackConfig& config, const text::Tokenizer& tokenizer,
                             const std::string& request, const PackCounts& counts, const nlohmann::json& shards,
                             const std::vector<SourceSummary>& sources);

/// Names of the shards that the manifest in `output` lists; none without a readable manifest.
std::vector<std::string> packed_shards(const std::filesystem::path& output);

/// The counts of an earlier run with the same request on the same bytes, or nullopt if `output` holds no packed data.
/// @throws ConfigError if it holds anything else, util::StoppedError
std::optional<PackCounts> earlier_pack(const std::filesystem::path& output, const std::string& request,
                                       const std::vector<std::filesystem::path>& files, const util::StopFlag& stop);

}  // namespace bertcram::data
