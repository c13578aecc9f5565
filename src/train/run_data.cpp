#include "run_data.h"

#include "bertcram/data/packed_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

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

void RunData::log() const {
  util::log_info("pretrain", cat("data: ", util::format_count(train.rows()), " rows of ", manifest.seq_len, " tokens, ",
                                 util::format_count(valid.rows()), " held out; unigram entropy ",
                                 util::format_fixed(manifest.unigram_entropy, 3), " nats per token"));
  if (valid.rows() == 0) {
    util::log_warning("pretrain", "no held-out rows: pack with a larger --valid-frac to see the held-out loss");
  }
}

}  // namespace bertcram::train
