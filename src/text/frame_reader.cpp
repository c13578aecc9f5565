#include "frame_reader.h"

#include <nlohmann/json.hpp>

#include "bertcram/util/json.h"

namespace bertcram::text {
namespace {

using nlohmann::json;

struct NamedId {
  std::string name;
  std::optional<int64_t> id;
};

std::optional<int64_t> whole_number(const json& value) {
  return value.is_number_integer() ? std::optional(value.get<int64_t>()) : std::nullopt;
}

/// `"cls": ["[CLS]", 101]`
std::optional<NamedId> pair_of(const json& processor, const char* key) {
  const json pair = processor.value(key, json::array());
  if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string()) {
    return std::nullopt;
  }
  return NamedId{pair[0].get<std::string>(), whole_number(pair[1])};
}

/// The token of `{"SpecialToken": {"id": name}}`, with the one id that the list of special tokens gives it.
std::optional<NamedId> template_token(const json& processor, const json& item) {
  if (!item.is_object() || !item.contains("SpecialToken")) {
    return std::nullopt;
  }
  NamedId token{util::text_member(item["SpecialToken"], "id"), std::nullopt};
  const json specials = processor.value("special_tokens", json::object());
  if (specials.is_object() && specials.contains(token.name) && specials[token.name].is_object()) {
    const json ids = specials[token.name].value("ids", json::array());
    token.id = ids.is_array() && ids.size() == 1 ? whole_number(ids[0]) : std::nullopt;
  }
  return token;
}

}  // namespace

std::optional<Frame> read_frame(const json& processor) {
  const auto type = util::text_member(processor, "type");
  std::optional<NamedId> cls;
  std::optional<NamedId> sep;
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    cls = pair_of(processor, "cls");
    sep = pair_of(processor, "sep");
  } else if (type == "TemplateProcessing") {
    const json single = processor.value("single", json::array());
    if (single.is_array() && single.size() == 3 && single[1].is_object() && single[1].contains("Sequence")) {
      cls = template_token(processor, single[0]);
      sep = template_token(processor, single[2]);
    }
  }
  if (!cls || !sep) {
    return std::nullopt;
  }
  return Frame{.cls = cls->name, .sep = sep->name, .cls_id = cls->id, .sep_id = sep->id};
}

bool agrees_with(const Frame& frame, const std::vector<std::string>& tokens) {
  const auto is_at = [&](const std::string& name, std::optional<int64_t> id) {
    return id && *id >= 0 && *id < static_cast<int64_t>(tokens.size()) && tokens[static_cast<size_t>(*id)] == name;
  };
  return is_at(frame.cls, frame.cls_id) && is_at(frame.sep, frame.sep_id);
}

}  // namespace bertcram::text
