#pragma once
// What a stopped command says, for the files that share one.

#include <string_view>

namespace bertcram::data {

inline constexpr std::string_view kPackStopped = "pack: stopped; run the same command again";
inline constexpr std::string_view kTokenizeStopped = "tokenize: stopped; nothing was written";

}  // namespace bertcram::data
