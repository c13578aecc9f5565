// What counting puts into the weights before the first step.

#include "train/data_start.h"

#include <ATen/ops/cosine_similarity.h>

#include <cmath>

#include "bertcram/model/parameter_specs.h"
#include "nn/tensor_support.h"
#include "train/pretrain_support.h"

namespace bertcram::train {
namespace {

using test::same_bits;

constexpr const char* kEmbeddings = "bert.embeddings.word_embeddings.weight";

class DataStartTest : public test::PretrainTest {
 protected:
  /// Texts in which "c" and "d" stand between the same words; no other two words do.
  std::string packed_twins() {
    util::RandomStream random(test::test_seed());
    std::string text;
    for (int i = 0; i < 400; ++i) {
      text += random.below(2) == 0 ? "a c b\n\n" : "a d b\n\n";
      text += std::string("e f ") + static_cast<char>('g' + random.below(8)) + "\n\n";
    }
    return packed(text);
  }

  /// @return the folder
  std::string packed(const std::string& text) {
    config::PackConfig options;
    options.input = {scratch_.write("own-text", text).string()};
    options.output = (scratch_ / "own-packed").string();
    options.seq_len = 16;
    options.valid_frac = 0;
    options.dedup = config::Dedup::kNone;
    options.threads = 1;
    test::pack(options);
    return options.output;
  }

  static nn::Parameters started(const config::PretrainConfig& config, int64_t threads = 1) {
    const RunData data(config.data);
    const auto shape = model::make_shape(config.model, data.manifest.vocab_size, 0);
    nn::Parameters parameters(model::parameter_specs(shape, {}), at::kBFloat16, at::kCPU);
    parameters.initialise(static_cast<uint64_t>(config.seed), shape.init_std);
    EXPECT_GE(start_from_data(config, data, threads, util::StopFlag(), parameters), 0.0);
    return parameters;
  }

  static double similarity(const at::Tensor& embeddings, const char* a, const char* b) {
    const auto row = [&](const char* word) { return embeddings[*test::tiny_tokenizer().find(word)]; };
    return at::cosine_similarity(row(a), row(b), 0).item<double>();
  }
};

TEST_F(DataStartTest, WordsWithTheSameNeighboursStartAlike) {
  auto config = config_for("run");
  config.data = packed_twins();
  const auto parameters = started(config);
  const at::Tensor embeddings = parameters.stored(kEmbeddings);
  EXPECT_GT(similarity(embeddings, "c", "d"), 0.9);
  EXPECT_LT(similarity(embeddings, "c", "f"), 0.5);
  EXPECT_TRUE(same_bits(parameters.leaf(kEmbeddings), embeddings.to(at::kBFloat16)));
}

TEST_F(DataStartTest, EmbeddingsAreAsLongAsRandomOnesAndTokensThatNeverOccurStayRandom) {
  auto config = config_for("run");
  config.data = packed_twins();
  const at::Tensor embeddings = started(config).stored(kEmbeddings);
  config.model.word_embeddings = config::WordEmbeddingStart::kRandom;
  const at::Tensor random = started(config).stored(kEmbeddings);
  const double length = config.model.init_std * std::sqrt(static_cast<double>(config.model.hidden));
  const auto& tokenizer = test::tiny_tokenizer();
  for (const char* word : {"a", "c", "f"}) {
    EXPECT_NEAR(embeddings[*tokenizer.find(word)].norm().item<double>(), length, 1e-5) << word;
  }
  for (const char* word : {"[PAD]", "[CLS]", "[SEP]", "[MASK]", "##q", "z"}) {
    EXPECT_TRUE(same_bits(embeddings[*tokenizer.find(word)], random[*tokenizer.find(word)])) << word;
  }
}

TEST_F(DataStartTest, ThreadsChangeNothing) {
  const auto config = config_for("run");
  EXPECT_TRUE(same_bits(started(config, 1).masters(), started(config, 3).masters()));
}

TEST_F(DataStartTest, TextThatTellsNothingStartsAtRandom) {
  auto config = config_for("run");
  std::string text;
  for (int i = 0; i < 200; ++i) {
    text += "a\n\n";
  }
  config.data = packed(text);
  const at::Tensor embeddings = started(config).stored(kEmbeddings);
  config.model.word_embeddings = config::WordEmbeddingStart::kRandom;
  EXPECT_TRUE(same_bits(embeddings, started(config).stored(kEmbeddings)));
}

TEST_F(DataStartTest, TheOutputBiasIsTheLogFrequency) {
  auto config = config_for("run");
  config.data = packed_twins();
  const at::Tensor bias = started(config).stored("cls.predictions.bias");
  const RunData data(config.data);
  const auto counts = data::read_token_counts(config.data, data.manifest);
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  const auto a = static_cast<size_t>(*test::tiny_tokenizer().find("a"));
  EXPECT_NEAR(bias[static_cast<int64_t>(a)].item<double>(),
              std::log((static_cast<double>(counts[a]) + 1) / (total + static_cast<double>(counts.size()))), 1e-5);
  config.model.unigram_bias = false;
  EXPECT_TRUE(same_bits(started(config).stored("cls.predictions.bias"), at::zeros_like(bias)));
}

}  // namespace
}  // namespace bertcram::train
