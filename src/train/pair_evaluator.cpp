#include "bertcram/train/pair_evaluator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/glue/minimal_pairs.h"
#include "bertcram/train/batches.h"
#include "bertcram/train/loaded_model.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/text_batch.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

constexpr size_t kBatchTokens = 4096;

/// A sentence with one of its tokens masked.
struct Question {
  size_t sentence;
  int64_t position;
};

class PairEvaluator {
 public:
  PairEvaluator(const config::EvalConfig& config, checkpoint::ModelDirectory source, const util::StopFlag& stop)
      : name_(config.model),
        stop_(stop),
        tokenizer_(std::move(source.tokenizer)),
        runtime_(set_up_runtime(config.runtime)),
        model_(source, source.head, runtime_) {}

  /// Share of the pairs whose good sentence is the more likely one.
  double accuracy(const glue::Paradigm& paradigm) {
    std::vector<std::string> sentences;
    for (const glue::MinimalPair& pair : paradigm.pairs) {
      sentences.insert(sentences.end(), {pair.good, pair.bad});
    }
    const std::vector<double> scores = pseudo_log_likelihoods(sentences, paradigm.name);
    int64_t right = 0;
    for (size_t i = 0; i < scores.size(); i += 2) {
      right += scores[i] > scores[i + 1] ? 1 : 0;
    }
    return static_cast<double>(right) / (static_cast<double>(scores.size()) / 2);
  }

 private:
  std::vector<double> pseudo_log_likelihoods(const std::vector<std::string>& sentences, const std::string& name) {
    const std::vector<EncodedText> encoded = encode(sentences, name);
    const std::vector<Question> questions = questions_by_length(encoded);
    std::vector<std::span<const Question>> batches;
    for (std::span<const Question> rest = questions; !rest.empty(); rest = rest.subspan(batches.back().size())) {
      batches.push_back(rest.first(batch_size(encoded, rest)));
    }
    std::vector<double> logs(questions.size());
    for_each_batch(runtime_, std::ssize(batches), [&](int64_t i) {
      const auto batch = batches[static_cast<size_t>(i)];
      answer(encoded, batch,
             std::span(logs).subspan(static_cast<size_t>(batch.data() - questions.data()), batch.size()));
    });
    std::vector<double> scores(sentences.size());
    for (size_t i = 0; i < questions.size(); ++i) {
      scores[questions[i].sentence] += logs[i];
    }
    return scores;
  }

  /// @param name  of the paradigm, for errors
  std::vector<EncodedText> encode(const std::vector<std::string>& sentences, const std::string& name) const {
    std::vector<EncodedText> encoded;
    int64_t truncated = 0;
    for (const std::string& sentence : sentences) {
      encoded.push_back(encode_text(*tokenizer_, sentence, std::nullopt, model_.shape().max_positions, truncated));
      const bool is_empty = encoded.back().ids.size() < 3;  // [CLS] and [SEP] only
      if (truncated > 0 || is_empty) {
        throw DataError(
            cat("--blimp: ", name, ": '", util::excerpt(sentence), "' has ",
                is_empty ? "no token in the vocabulary of the model"
                         : cat("more tokens than the ", model_.shape().max_positions, " positions of the model")));
      }
    }
    return encoded;
  }

  /// All tokens of all sentences but [CLS] and [SEP]; sentences of one length lie together.
  static std::vector<Question> questions_by_length(const std::vector<EncodedText>& encoded) {
    std::vector<size_t> order(encoded.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, {}, [&](size_t i) { return encoded[i].ids.size(); });
    std::vector<Question> questions;
    for (const size_t sentence : order) {
      for (int64_t position = 1; position + 1 < std::ssize(encoded[sentence].ids); ++position) {
        questions.push_back({.sentence = sentence, .position = position});
      }
    }
    return questions;
  }

  /// How many of the questions, which come by length, make the next batch: all of one length.
  static size_t batch_size(const std::vector<EncodedText>& encoded, std::span<const Question> rest) {
    const auto length_of = [&](const Question& question) { return encoded[question.sentence].ids.size(); };
    const size_t length = length_of(rest.front());
    const size_t most = std::min(rest.size(), std::max<size_t>(1, kBatchTokens / length));
    size_t size = 1;
    while (size < most && length_of(rest[size]) == length) {
      ++size;
    }
    return size;
  }

  /// The logarithm of the probability of each masked token.
  void answer(const std::vector<EncodedText>& encoded, std::span<const Question> batch, std::span<double> logs) const {
    util::throw_if_stopped(stop_, "eval: stopped");
    const auto rows = std::ssize(batch);
    const auto seq = std::ssize(encoded[batch.front().sentence].ids);
    const at::Tensor ids = at::empty({rows, seq}, at::kInt);
    const at::Tensor positions = at::empty({rows}, at::kLong);
    const at::Tensor targets = at::empty({rows, 1}, at::kLong);
    for (int64_t row = 0; row < rows; ++row) {
      const Question& question = batch[static_cast<size_t>(row)];
      const std::vector<int32_t>& text = encoded[question.sentence].ids;
      int32_t* const out = ids.data_ptr<int32_t>() + row * seq;
      std::ranges::copy(text, out);
      out[question.position] = tokenizer_->special().mask;
      positions.data_ptr<int64_t>()[row] = row * seq + question.position;
      targets.data_ptr<int64_t>()[row] = text[static_cast<size_t>(question.position)];
    }
    const at::Device device = runtime_.device;
    const at::Tensor states = model_.encoder().encode_at({.ids = ids.to(device)}, positions.to(device));
    const at::Tensor logits = model_.encoder().masked_lm_logits(states);  // [rows, vocab]
    const at::Tensor found = (logits.gather(1, targets.to(device)) - at::logsumexp(logits, {1}, /*keepdim=*/true))
                                 .to(at::kDouble)
                                 .to(at::kCPU)
                                 .contiguous();  // [rows, 1]
    std::copy_n(found.const_data_ptr<double>(), rows, logs.begin());
    require_numbers(logs, "log-probabilities", name_);
  }

  std::string name_;  ///< of the model's folder, for errors
  const util::StopFlag& stop_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  Runtime runtime_;
  LoadedModel model_;
};

int64_t pair_count(const std::vector<glue::Paradigm>& paradigms) {
  return std::accumulate(paradigms.begin(), paradigms.end(), int64_t{0},
                         [](int64_t sum, const glue::Paradigm& paradigm) { return sum + std::ssize(paradigm.pairs); });
}

}  // namespace

PairScores evaluate_pairs(const config::EvalConfig& config, const util::StopFlag& stop,
                          util::ProgressStyle progress_style) {
  const std::vector<glue::Paradigm> paradigms = glue::read_minimal_pairs(config.blimp);
  auto source = checkpoint::open_model_directory(config.model);
  checkpoint::require_masked_lm(source);
  PairEvaluator evaluator(config, std::move(source), stop);
  PairScores scores;
  util::Progress progress({.label = "eval", .unit = "pairs", .total = pair_count(paradigms), .style = progress_style});
  for (const glue::Paradigm& paradigm : paradigms) {
    const double accuracy = evaluator.accuracy(paradigm);
    scores.paradigms[paradigm.name] = accuracy;
    scores.average += accuracy / static_cast<double>(paradigms.size());
    progress.add(std::ssize(paradigm.pairs));
  }
  return scores;
}

}  // namespace bertcram::train
