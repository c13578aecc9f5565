#pragma once
// Everything that DocumentReader makes of some files.

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "bertcram/data/document_reader.h"

namespace bertcram::test {

struct ReadResult {
  std::vector<std::string> documents;
  std::vector<data::SourceSummary> summaries;
};

/// @param most  batches to read
inline ReadResult read_documents(data::DocumentReader& reader, int most = std::numeric_limits<int>::max()) {
  ReadResult result;
  for (; most > 0; --most) {
    const auto batch = reader.next();
    if (!batch) {
      break;
    }
    EXPECT_GT(batch->size(), 0U);
    for (size_t i = 0; i < batch->size(); ++i) {
      result.documents.emplace_back((*batch)[i]);
    }
  }
  result.summaries = reader.summaries();
  return result;
}

inline ReadResult read_documents(const std::vector<std::filesystem::path>& files,
                                 const data::ReaderOptions& options = {}) {
  data::DocumentReader reader(files, options);
  return read_documents(reader);
}

}  // namespace bertcram::test
