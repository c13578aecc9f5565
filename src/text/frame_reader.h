#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace bertcram::text {

/// The one token that a post-processor of Hugging Face puts before a text, and the one behind it.
struct Frame {
  std::string cls;
  std::string sep;
  std::optional<int64_t> cls_id;  ///< as it says itself
  std::optional<int64_t> sep_id;
};

/// nullopt unless it is of type BertProcessing, RobertaProcessing, or TemplateProcessing with one token on each side.
std::optional<Frame> read_frame(const nlohmann::json& processor);

/// Whether the two ids are those of the two tokens: it is the ids that Hugging Face puts there.
bool agrees_with(const Frame& frame, const std::vector<std::string>& tokens);

}  // namespace bertcram::text
