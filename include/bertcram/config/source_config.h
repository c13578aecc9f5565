#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/config/field.h"
#include "bertcram/config/text_input_config.h"

namespace bertcram::config {

/// One entry of a source list: some inputs, how they are read, and how much of them is wanted.
struct SourceConfig {
  std::vector<std::string> path;
  double weight = 1.0;
  int64_t max_documents = 0;  ///< 0: no limit
  int64_t max_bytes = 0;      ///< 0: no limit
  TextFormat format = TextFormat::kAuto;
  std::string text_field = "text";

  void visit(FieldVisitor& v) {
    v("path", path, "file, folder or glob, or a list of these; relative to the list's folder", Untracked{});
    v("weight", weight, "how often each document is wanted, on average: 0.25 = a quarter of them, 3 = each three times",
      InRange{1e-6, 1000.0});
    v("max_documents", max_documents, "only the first documents of the source, in the order of its files", AtLeast{1});
    v("max_bytes", max_bytes, "only the first documents whose texts together have at most so many bytes", AtLeast{1});
    v("format", format, "as --format, for this source");
    v("text_field", text_field, "as --text-field, for this source");
  }
};

/// Whether a file that was named by itself is a source list: *.yaml or *.yml whose first key is `sources` or nearly so, or
/// that is a mapping with `sources` among its keys. @throws DataError if it cannot be read
bool is_source_list(const std::filesystem::path& file);

/// The entries of a source list, their paths as written.
/// @param defaults  what the flags say about format and field
/// @throws ConfigError with one line per problem, `file:line: …`; DataError if the file cannot be read
std::vector<SourceConfig> read_source_list(const std::filesystem::path& file, const TextInputConfig& defaults);

}  // namespace bertcram::config
