#include "run_data.h"

#include "bertcram/data/packed_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/log.h"

namespace bertcram::train {

RunData::RunData(const std::filesystem::path& directory)
    : manifest(data::read_packed_manifest(directory)),
      tokenizer(text::load_tokenizer(directory / data::kTokenizerFolder, std::nullopt)),
      train(directory, manifest.train_shards, manifest),
      valid(directory, manifest.valid_shards, manifest),
      id(util::hash_file(directory / data::kManifestFile).hex()) {
  if (tokenizer->fingerprint() != manifest.tokenizer_fingerprint || tokenizer->vocab_size() != manifest.vocab_size) {
    throw DataError(cat(directory.string(),
                        ": the tokenizer in it is not the one that its shards were packed with; "
                        "pack the data again"));
  }
}

void RunData::verify(const util::StopFlag& stop) const {
  util::log_info("pretrain", "checking the packed data");
  train.verify(stop);
  valid.verify(stop);
}

}  // namespace bertcram::train
