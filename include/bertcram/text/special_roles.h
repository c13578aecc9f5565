#pragma once
// Which tokens of a SentencePiece-like vocabulary have a role: by the names in tokenizer_config.json, else by the usual
// ones.

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "bertcram/text/tokenizer.h"

namespace bertcram::text {

/// One role and the names it usually goes by, ours first.
struct RoleNames {
  std::string_view role;  ///< key in tokenizer_config.json without "_token"
  std::optional<int32_t> SpecialRoles::*id;
  std::array<std::string_view, 3> usual;  ///< empty: no further name
};
inline constexpr std::array<RoleNames, 5> kRoleNames = {{{"pad", &SpecialRoles::pad, {"[PAD]", "<pad>", ""}},
                                                         {"unk", &SpecialRoles::unk, {"[UNK]", "<unk>", ""}},
                                                         {"cls", &SpecialRoles::cls, {"[CLS]", "<cls>", "<s>"}},
                                                         {"sep", &SpecialRoles::sep, {"[SEP]", "<sep>", "</s>"}},
                                                         {"mask", &SpecialRoles::mask, {"[MASK]", "<mask>", ""}}}};

/// Fills the roles that are empty with the first usual name that `find` knows.
void fill_usual_roles(SpecialRoles& roles, const std::function<std::optional<int32_t>(std::string_view)>& find);

/// All five, or nullopt if one is missing.
std::optional<SpecialTokens> complete(const SpecialRoles& roles);

/// @param reason why some are missing, if there is more to say; may be empty
/// @throws DataError naming the missing ones
[[noreturn]] void throw_missing_roles(const std::string& origin, const SpecialRoles& roles, const std::string& reason);

}  // namespace bertcram::text
