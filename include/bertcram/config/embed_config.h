#pragma once

#include "bertcram/config/train_config.h"

namespace bertcram::config {

/// How the states of a text's tokens become one vector: as the model's folder says, the mean over all of them, or that of
/// the first token, [CLS].
enum class Pooling { kAuto, kMean, kCls };
constexpr std::array<std::string_view, 3> enum_words(Pooling) { return {"auto", "mean", "cls"}; }

/// Options of `bertcram embed`.
struct EmbedConfig {
  std::string model = "runs/latest/model";
  Pooling pooling = Pooling::kAuto;
  bool normalize = false;
  int64_t max_tokens = 0;
  int64_t batch_tokens = 4096;
  RuntimeConfig runtime;

  void visit(FieldVisitor& v) {
    v("model", model, "model folder, of bertcram or Hugging Face");
    v("pooling", pooling,
      "auto: as a folder of sentence-transformers says, length 1 and its longest text included, otherwise mean;\n"
      "mean: of the states of all tokens, [CLS] and [SEP] too; cls: the state of [CLS]");
    v("normalize", normalize, "scale every vector to length 1");
    v("max_tokens", max_tokens,
      "longer texts are cut to so many tokens; 0 = as the folder says, or the positions of the model", AtLeast{0});
    v("batch_tokens", batch_tokens, "tokens per forward pass", AtLeast{1});
    v.section("runtime", runtime);
  }
};

/// Options of `bertcram fill-mask`.
struct FillMaskConfig {
  std::string model = "runs/latest/model";
  int64_t top_k = 5;
  RuntimeConfig runtime;

  void visit(FieldVisitor& v) {
    v("model", model, "model folder, of bertcram or Hugging Face");
    v("top_k", top_k, "tokens shown for each [MASK]", InRange{1, 1000});
    v.section("runtime", runtime);
  }
};

}  // namespace bertcram::config
