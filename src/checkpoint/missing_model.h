#pragma once
// What to say of a folder that should be a model's and is not.

#include <filesystem>
#include <string>

namespace bertcram::checkpoint {

/// What a folder without config.json is instead, and where its model is or will be; the end of a message.
std::string instead_of_a_model(const std::filesystem::path& folder);

}  // namespace bertcram::checkpoint
