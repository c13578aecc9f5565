#include "allocator_settings.h"

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::train {

std::string with_memory_share(std::string_view settings, double share) {
  constexpr std::string_view kName = "per_process_memory_fraction:";
  std::string kept;
  for (const std::string_view part : util::split(settings, ',')) {  // a list in brackets is put together again
    if (const auto setting = util::trim(part); !setting.empty() && !setting.starts_with(kName)) {
      kept += cat(setting, ",");
    }
  }
  return cat(kept, kName, share);
}

}  // namespace bertcram::train
