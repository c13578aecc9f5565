#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "bertcram/config/pack_config.h"
#include "bertcram/data/document_reader.h"
#include "bertcram/data/packer.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/util/progress.h"
#include "buckets.h"
#include "filters.h"
#include "near_duplicates.h"
#include "work_folder.h"

namespace bertcram::data {

/// The first pass of packing: documents are judged, tokenised and put into buckets, by several threads. Now and then they
/// wait for each other, and what is done so far is saved.
class FirstPass {
 public:
  /// @param near_duplicates  nullptr where they are kept
  FirstPass(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context,
            WorkFolder& work, Buckets& buckets, NearDuplicates* near_duplicates);

  /// Reads to the end. @return the counts of all sessions
  /// @throws util::StoppedError and DataError with what is done saved; ResourceError with what was saved before
  PackCounts run(DocumentReader& reader, util::Progress& progress);

 private:
  /// What one thread works in and counts.
  struct Workspace {
    PackCounts counts;
    std::vector<uint64_t> words;
    std::vector<int32_t> ids;
    std::vector<Paragraph> paragraphs;
  };

  std::optional<DocumentBatch> next_batch(DocumentReader& reader);
  void work_on(const DocumentBatch& batch, Workspace& space);
  enum class Outcome { kDone, kFailed };
  void leave_batch(Outcome outcome, const Workspace& space);
  void save_alone(std::unique_lock<std::mutex>& lock, const DocumentReader& reader);
  void save_if_worth_it(const DocumentReader& reader);
  void save(const DocumentReader& reader);
  void take(std::string_view text, int64_t copies, Workspace& space) const;
  Verdict encode(std::string_view text, Workspace& space) const;
  void encode_paragraphs(std::string_view text, Workspace& space) const;

  const config::PackConfig& config_;
  const text::Tokenizer& tokenizer_;
  const PackContext& context_;
  WorkFolder& work_;
  Buckets& buckets_;
  NearDuplicates* near_duplicates_;
  DocumentFilters filters_;

  std::mutex mutex_;
  std::condition_variable changed_;  ///< batches_in_work_ or is_saving_
  int64_t batches_in_work_ = 0;
  bool is_saving_ = false;
  bool has_failed_ = false;    ///< a batch was not finished: what is spilled is no state to save
  PackCounts counts_;          ///< of the batches that are done
  size_t files_finished_ = 0;  ///< position of the reader behind the last batch
  int64_t documents_of_open_file_ = 0;
  int64_t unsaved_bytes_ = 0;
};

}  // namespace bertcram::data
