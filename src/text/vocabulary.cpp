#include "bertcram/text/vocabulary.h"

#include "bertcram/text/double_array.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/text.h"

namespace bertcram::text {
namespace {

constexpr size_t kMaxTokenBytes = 4096;  // DoubleArray builds by recursion, a level per byte

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> tokens, const std::string& origin) : tokens_(std::move(tokens)) {
  if (tokens_.empty()) {
    throw DataError(cat(origin, ": the vocabulary is empty; expected one token a line"));
  }
  if (tokens_.size() > static_cast<size_t>(DoubleArray::kMaxValue)) {
    throw DataError(cat(origin, ": ", tokens_.size(), " tokens; at most ", DoubleArray::kMaxValue, " are supported"));
  }
  ids_.reserve(tokens_.size());
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& token = tokens_[i];
    if (token.empty() || count_invalid_utf8(token) > 0 || token.find('\0') != std::string::npos) {
      throw DataError(cat(origin, ": token ", i, " (line ", i + 1, ") is ",
                          token.empty() ? "empty" : "not valid UTF-8 text", "; is this a vocabulary file?"));
    }
    if (token.size() > kMaxTokenBytes) {
      throw DataError(cat(origin, ": token ", i, " (line ", i + 1, ") has ", token.size(), " bytes; at most ",
                          kMaxTokenBytes, " are supported; is this a vocabulary file?"));
    }
    const auto [entry, is_new] = ids_.emplace(token, static_cast<int32_t>(i));
    if (!is_new) {
      throw DataError(cat(origin, ": token '", util::excerpt(token), "' occurs twice, as id ", entry->second,
                          " and as id ", i, "; remove one of them"));
    }
  }
}

std::optional<int32_t> Vocabulary::find(std::string_view token) const {
  const auto entry = ids_.find(token);
  return entry == ids_.end() ? std::nullopt : std::optional(entry->second);
}

const std::string& Vocabulary::token(int32_t id) const {
  BC_CHECK(id >= 0 && id < size(), "token id ", id, ", vocabulary has ", size(), " ids");
  return tokens_[static_cast<size_t>(id)];
}

std::vector<std::string> read_vocab_txt(const std::filesystem::path& path) {
  const std::string content = util::read_file(path);
  if (content.empty()) {
    throw DataError(cat(path.string(), ": the file is empty; expected one token a line"));
  }
  std::vector<std::string> tokens;
  for (std::string_view line : util::split(content, '\n')) {
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    tokens.emplace_back(line);
  }
  if (tokens.back().empty()) {  // after the final line end
    tokens.pop_back();
  }
  return tokens;
}

}  // namespace bertcram::text
