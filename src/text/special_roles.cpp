#include "bertcram/text/special_roles.h"

#include "bertcram/util/error.h"

namespace bertcram::text {

void fill_usual_roles(SpecialRoles& roles, const std::function<std::optional<int32_t>(std::string_view)>& find) {
  for (const RoleNames& role : kRoleNames) {
    for (const std::string_view name : role.usual) {
      if (!(roles.*role.id) && !name.empty()) {
        roles.*role.id = find(name);
      }
    }
  }
}

std::optional<SpecialTokens> complete(const SpecialRoles& roles) {
  if (!roles.pad || !roles.unk || !roles.cls || !roles.sep || !roles.mask) {
    return std::nullopt;
  }
  return SpecialTokens{.pad = *roles.pad, .unk = *roles.unk, .cls = *roles.cls, .sep = *roles.sep, .mask = *roles.mask};
}

void throw_missing_roles(const std::string& origin, const SpecialRoles& roles, const std::string& reason) {
  std::string missing;
  for (const RoleNames& role : kRoleNames) {
    if (!(roles.*role.id)) {
      missing += cat(missing.empty() ? "" : ", ", role.usual[0], " (or ", role.usual[1], ")");
    }
  }
  throw DataError(cat(origin, ": this tokenizer lacks special tokens that are needed here: ", missing,
                      reason.empty() ? "" : "; " + reason,
                      "; train one with 'bertcram tokenize', or add them as control symbols"));
}

}  // namespace bertcram::text
