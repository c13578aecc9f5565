#pragma once

#include <string>
#include <vector>

#include "bertcram/config/field.h"

namespace bertcram::config {

/// What to say of a key that is none of the fields: the nearest field or section, and the commands that have the key.
std::string unknown_key(const std::string& path, const std::vector<Field>& fields);

}  // namespace bertcram::config
