#pragma once
// Everything that DocumentReader makes of some files.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "bertcram/data/document_reader.h"

namespace bertcram::test {

struct ReadResult {
  std::vector<std::string> documents;
  std::vector<data::SourceSummary> summaries;
};

inline ReadResult read_documents(data::DocumentReader& reader) {
  ReadResult result;
  while (const auto batch = reader.next()) {
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
