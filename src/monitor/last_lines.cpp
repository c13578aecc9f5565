#include "last_lines.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "bertcram/util/json.h"

namespace bertcram::monitor {
namespace {

using nlohmann::json;

/// @return whether nothing more is looked for
bool take(json& found, std::string_view line) {
  const bool is_evaluation = line.find("\"eval_loss\"") != std::string_view::npos;
  json& place = found[is_evaluation ? "evaluation" : "training"];
  if (place.is_null()) {
    const json parsed = util::try_parse_json(line);
    if (parsed.is_object() && parsed.contains("step") && !parsed.contains("event")) {
      place = parsed;
    }
  }
  return !found["training"].is_null() && !found["evaluation"].is_null();
}

}  // namespace

json read_last_lines(const FileView& file) {
  constexpr int64_t kBlockBytes = int64_t{1} << 16;
  constexpr int64_t kMostBytes = int64_t{1} << 22;
  json found = {{"training", nullptr}, {"evaluation", nullptr}};
  int64_t begin = file.size();
  const int64_t first = std::max<int64_t>(0, begin - kMostBytes);
  std::string text;
  bool has_end = false;  // of a line: what is behind the last newline is still being written
  while (begin > first) {
    const int64_t end = begin;
    begin = std::max(first, begin - kBlockBytes);
    text.insert(0, file.read(begin, static_cast<size_t>(end - begin)));
    if (!has_end) {
      const size_t last = text.rfind('\n');
      if (last == std::string::npos) {
        continue;
      }
      text.resize(last);
      has_end = true;
    }
    for (size_t newline = text.rfind('\n'); newline != std::string::npos; newline = text.rfind('\n')) {
      if (take(found, std::string_view(text).substr(newline + 1))) {
        return found;
      }
      text.resize(newline);
    }
  }
  if (has_end && begin == 0) {
    take(found, text);
  }
  return found;
}

}  // namespace bertcram::monitor
