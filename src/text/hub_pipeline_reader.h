#pragma once
// The normaliser and pre-tokeniser of a tokenizer.json; what is not built in is refused by name.

#include <string>
#include <vector>

#include "bertcram/text/subword_definition.h"
#include "bertcram/util/json_fields.h"

namespace bertcram::text {

/// Refuses the "type" of an object. @param supported "are A, B and C"
[[noreturn]] void refuse_type(const util::JsonFields& fields, const std::string& type, const char* supported);

/// The list at `key`. @throws DataError if there is none
const nlohmann::json& require_list(const util::JsonFields& fields, const std::string& key);

/// Appends the steps of a normaliser.
void read_normalizer(const util::JsonFields& fields, std::vector<NormalizerStep>& steps);

/// "first" asks whether a word stood first in the text as it was given: refused where a normaliser may remove what stands
/// before it. @throws DataError
void check_first_word(const util::JsonFields& root, const std::vector<NormalizerStep>& steps, const WordSplit& split);

void read_pre_tokenizer(const util::JsonFields& fields, WordSplit& split);

}  // namespace bertcram::text
