#include <algorithm>
#include <fstream>
#include <utility>

#include "bertcram/config/source_config.h"
#include "bertcram/config/yaml_document.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/text.h"
#include "yaml_reader.h"

namespace bertcram::config {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kTopLevel = {"sources"};
// A list with another key before `sources` is told by parsing all of it, which takes long of a large text.
constexpr uintmax_t kLargestList = uintmax_t{16} << 20;

/// The first key of a YAML text, by its first line that is neither blank nor a comment; nullopt if that holds none.
std::optional<std::string> first_key(const fs::path& file) {
  std::ifstream text(file);
  for (std::string line; std::getline(text, line);) {
    const std::string_view content = util::trim(line);
    if (!content.empty() && content[0] != '#' && content != "---") {
      const size_t colon = content.find(':');
      return colon == std::string_view::npos ? std::nullopt : std::optional<std::string>(content.substr(0, colon));
    }
  }
  return std::nullopt;
}

/// Whether the whole file is a YAML mapping, of no more than kLargestList, that has `sources` among its keys.
bool is_mapping_with_sources(const fs::path& file) {
  std::error_code error;
  if (fs::file_size(file, error) > kLargestList || error) {
    return false;
  }
  const std::string text = util::read_file(file);
  if (text.find(kTopLevel.front()) == std::string::npos) {  // most of what is not: no time is lost with its YAML
    return false;
  }
  try {
    std::vector<std::string> ignored;
    const auto document = read_yaml_document(text, file.string(), ignored);
    return document && document->IsMap() && std::ranges::any_of(*document, [](const auto& entry) {
             return entry.first.IsScalar() && entry.first.Scalar() == kTopLevel.front();
           });
  } catch (const YAML::Exception&) {
    return false;
  }
}

/// A path that holds a comma is one path all the same.
YAML::Node with_listed_path(YAML::Node entry) {
  if (entry.IsMap() && entry["path"] && entry["path"].IsScalar()) {
    const auto path = entry["path"].as<std::string>();
    entry["path"] = std::vector<std::string>{path};
  }
  return entry;
}

class SourceList {
 public:
  SourceList(const fs::path& file, const TextInputConfig& defaults) : file_(file), defaults_(defaults) {}

  std::vector<SourceConfig> read() {
    try {
      const std::vector<Field> no_fields;
      YamlReader reader(no_fields, file_.string(), problems_);
      if (const auto document = read_yaml_document(util::read_file(file_), file_.string(), problems_)) {
        read_root(*document, reader);
      }
    } catch (const YAML::Exception& error) {
      problems_.push_back(cat(file_.string(), ":", error.mark.line + 1, ": not valid YAML: ", error.msg));
    }
    if (!problems_.empty()) {
      throw ConfigError(util::join(problems_, "\n"));
    }
    return std::move(sources_);
  }

 private:
  void read_root(const YAML::Node& root, YamlReader& reader) {
    if (!root.IsMap()) {
      reader.problem(root, "expected 'sources:' and a list");
      return;
    }
    bool has_sources = false;
    for (const auto& entry : root) {
      const auto key = reader.key_of(entry.first);
      if (!key) {
        continue;
      }
      if (*key != kTopLevel.front()) {
        const bool is_near = util::nearest_name(*key, kTopLevel).has_value();
        reader.problem(entry.first, cat("unknown key '", util::excerpt(*key), "'; ",
                                        is_near ? "did you mean 'sources'?" : "a source list has 'sources' only"));
      } else if (std::exchange(has_sources, true)) {
        reader.problem(entry.first, "duplicate key 'sources'");
      } else if (!entry.second.IsSequence() || entry.second.size() == 0) {
        reader.problem(entry.first, "'sources' must be a list, each item as {path: wiki/, weight: 0.5}");
      } else {
        for (const auto& item : entry.second) {
          read_source(item);
        }
      }
    }
  }

  void read_source(const YAML::Node& entry) {
    SourceConfig source;
    source.format = defaults_.format;
    source.text_field = defaults_.text_field;
    const auto fields = fields_of(source);
    YamlReader reader(fields, file_.string(), problems_);
    const size_t before = problems_.size();
    reader.read(with_listed_path(entry), "");
    if (problems_.size() == before && source.path.empty()) {
      reader.problem(entry, "the key 'path' is missing: a file, folder or glob, or a list of these");
    }
    sources_.push_back(std::move(source));
  }

  fs::path file_;
  const TextInputConfig& defaults_;
  std::vector<std::string> problems_;
  std::vector<SourceConfig> sources_;
};

}  // namespace

bool is_source_list(const fs::path& file) {
  std::error_code ignored;
  if ((file.extension() != ".yaml" && file.extension() != ".yml") || !fs::is_regular_file(file, ignored)) {
    return false;
  }
  const auto key = first_key(file);
  // A list that is misspelt, or has something else first, must not be read as text.
  return (key && (*key == kTopLevel.front() || util::nearest_name(*key, kTopLevel))) || is_mapping_with_sources(file);
}

std::vector<SourceConfig> read_source_list(const fs::path& file, const TextInputConfig& defaults) {
  return SourceList(file, defaults).read();
}

}  // namespace bertcram::config
