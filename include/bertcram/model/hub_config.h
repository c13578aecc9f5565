#pragma once
// config.json of Hugging Face: BertConfig and ModernBertConfig.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "bertcram/model/shape.h"

namespace bertcram::model {

/// config.json of a model with this head: Bert… or ModernBert…, ForMaskedLM, Model, ForSequenceClassification or
/// ForTokenClassification.
nlohmann::json to_hub_config(const EncoderShape& shape, const Head& head);

/// @param where  the file, for errors. @throws DataError, naming a feature that bertcram does not compute
EncoderShape shape_from_hub_config(const nlohmann::json& config, const std::string& where);

/// The head by its class; of a class that bertcram does not know, the encoder alone. What bertcram does not compute of the
/// head is in its `refusal`, for those who need the head.
/// @throws DataError if the head's labels are damaged
Head head_from_hub_config(const nlohmann::json& config, const std::string& where);

}  // namespace bertcram::model
