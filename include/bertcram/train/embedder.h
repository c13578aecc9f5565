#pragma once
// `bertcram embed`: texts → vectors.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "bertcram/config/embed_config.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// A model that is ready to turn texts into vectors.
class Embedder {
 public:
  virtual ~Embedder() = default;
  /// Numbers per vector.
  virtual int64_t width() const = 0;
  /// The vectors of the texts, row by row: [texts, width]. What the other texts are makes no difference but for rounding.
  /// @throws util::StoppedError
  virtual std::vector<float> embed(std::span<const std::string_view> texts) = 0;
  /// Texts so far that were longer than the model or --max-tokens allow, and were cut.
  virtual int64_t truncated() const = 0;
};

/// @param stop  looked at between batches; must outlive the embedder
/// @throws DataError if the model is missing or damaged, ConfigError if a text has no room beside [CLS] and [SEP]
std::unique_ptr<Embedder> open_embedder(const config::EmbedConfig& config, const util::StopFlag& stop);

}  // namespace bertcram::train
