#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// The packed data of a run, opened; what belongs together is checked to do so.
struct RunData {
  /// @throws DataError if anything is missing or damaged, or the tokenizer is not the shards'
  explicit RunData(const std::filesystem::path& directory);

  /// Reads all rows once. @throws DataError if one is damaged, util::StoppedError
  void verify(const util::StopFlag& stop) const;

  data::PackedManifest manifest;
  std::unique_ptr<text::Tokenizer> tokenizer;
  data::RowStore train;
  data::RowStore valid;
  std::string id;  ///< changes whenever the packed data does
};

}  // namespace bertcram::train
