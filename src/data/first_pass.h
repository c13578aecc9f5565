#pragma once

#include <mutex>

#include "bertcram/config/pack_config.h"
#include "bertcram/data/document_reader.h"
#include "bertcram/data/packer.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/util/progress.h"
#include "buckets.h"
#include "filters.h"
#include "near_duplicates.h"

namespace bertcram::data {

/// The first pass of packing: documents are judged, tokenised and put into buckets, by several threads.
class FirstPass {
 public:
  /// @param near_duplicates  nullptr where they are kept
  FirstPass(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context,
            Buckets& buckets, NearDuplicates* near_duplicates);

  /// Reads to the end. @throws util::StoppedError, DataError, ResourceError
  void run(DocumentReader& reader, util::Progress& progress, PackCounts& counts);

 private:
  /// What one thread works in and counts.
  struct Workspace {
    PackCounts counts;
    std::vector<uint64_t> words;
    std::vector<int32_t> ids;
    std::vector<Paragraph> paragraphs;
  };

  void take(std::string_view text, int64_t copies, Workspace& space) const;
  Verdict encode(std::string_view text, Workspace& space) const;

  const config::PackConfig& config_;
  const text::Tokenizer& tokenizer_;
  const PackContext& context_;
  Buckets& buckets_;
  NearDuplicates* near_duplicates_;
  DocumentFilters filters_;
  std::mutex mutex_;
};

}  // namespace bertcram::data
