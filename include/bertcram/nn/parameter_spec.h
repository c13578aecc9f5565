#pragma once
// What a model asks of its parameters: names, shapes, and how they start.

#include <cstdint>
#include <string>
#include <vector>

namespace bertcram::nn {

/// kTruncatedNormal: normal, cut off at two standard deviations (drawn again beyond).
/// kSinusoid: row p of [rows, width] holds the sines and cosines of position p (Vaswani et al. 2017, §3.5), scaled to
/// the standard deviation of kNormal.
/// kSimilarity: a packed query-key-value projection, normal, with the key rows equal to the query rows: attention
/// scores start as similarities.
enum class Init { kNormal, kTruncatedNormal, kZeros, kOnes, kSinusoid, kSimilarity };

/// What the optimizer treats alike.
enum class Group {
  kMatrix,  ///< linear maps between hidden states
  kTable,   ///< embeddings and classifiers
  kVector,  ///< biases and norms: no weight decay
};

/// One tensor as the mathematics uses it. `parts` are the names under which it is stored (Hugging Face names): usually
/// one; a packed projection such as query, key and value is one leaf of three parts, split evenly along dimension 0.
struct ParameterSpec {
  std::string leaf;
  std::vector<std::string> parts;
  std::vector<int64_t> shape;
  Init init = Init::kNormal;
  double init_scale = 1.0;  ///< of random inits: factor of the standard deviation
  Group group = Group::kMatrix;
  int64_t blocks = 1;  ///< linear maps that stand below each other along dimension 0
};

}  // namespace bertcram::nn
