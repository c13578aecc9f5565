// What a configuration asks of a machine, against sums by hand.

#include "bertcram/plan/workload.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bertcram/nn/sizes.h"
#include "plan/plan_support.h"

namespace bertcram::plan {
namespace {

using config::Precision;

TEST(Workloads, CountTheParametersOfBertBase) {
  const Workload workload = pretraining(bert_base(), 32'768, 128);
  EXPECT_EQ(workload.parameters, 110'946'560);            // as bench says of the model itself
  EXPECT_NEAR(workload.flops_per_token, 519.9e6, 0.1e6);  // 546.9e6 if all tokens went through all of the last layer
}

TEST(Workloads, OfFineTuningHaveNeitherGeneratorNorDecoder) {
  config::PretrainConfig config = bert_base();
  const Workload masked_lm = pretraining(config, 32'768, 128);
  config.objective = config::Objective::kRtd;
  const Workload pair = pretraining(config, 32'768, 128);
  const Workload glue = fine_tuning(masked_lm.parts[0].shape, 40, 0.1);
  EXPECT_EQ(glue.packed_numbers, 12 * (4 * 768 * 768 + 2 * 768 * 3072));
  EXPECT_LT(glue.packed_numbers, masked_lm.packed_numbers);
  EXPECT_LT(glue.parameters, pair.parameters);
  // The head's dense layer, norm and bias of the decoder make way for pooler and classifier of two classes.
  EXPECT_EQ(glue.parameters - masked_lm.parameters, 2 * 768 + 2 - 2 * 768 - 32'768);
  EXPECT_EQ(glue.seq_len, 40);
  const auto seconds_of = [](const config::PretrainConfig& given) {
    return make_plan(given, {}, card("3060ti")).glue[0].seconds;
  };
  EXPECT_NEAR(seconds_of(config), seconds_of(bert_base()), 1e-9) << "the same encoder, however it was pretrained";
}

TEST(MemoryNeed, IsWhatASumByHandGives) {
  const Workload workload = pretraining(bert_base(), 32'768, 128);
  const MemoryNeed need = memory_need(workload, 8, false, card("3060ti"));
  EXPECT_EQ(need.masters, 4 * workload.parameters);
  EXPECT_EQ(need.gradients, 4 * workload.parameters);
  EXPECT_EQ(need.moments, 8 * workload.parameters);
  EXPECT_EQ(need.compute_copy, 2 * workload.parameters);
  EXPECT_EQ(need.packed_weights, 0);
  // 12 layers of 5 · 768 numbers of 2 bytes, 11 of 3 · 768 + 2 · 3072 and that of the last for the masked tokens only; 6 bytes of
  // each of the 768 numbers that enter the first.
  const double numbers = 12 * 5 * 768 + (11 + 0.15) * (3 * 768 + 2 * 3072);
  EXPECT_NEAR(static_cast<double>(need.activations), 8 * 128 * (numbers * 2 + 768 * 6), 1);
  EXPECT_EQ(memory_need(workload, 8, false, card("3060ti", Precision::kFp32)).compute_copy, 0);
}

TEST(MemoryNeed, LeavesRoomOnACardForItsDriverAndADesktopUnlessALimitDoes) {
  constexpr int64_t kHalfGiB = int64_t{1} << 29;
  const Workload workload = pretraining(bert_base(), 32'768, 128);
  const Machine whole = card("3060ti");
  EXPECT_EQ(whole.memory_bytes, 16 * kHalfGiB);
  EXPECT_EQ(memory_need(workload, 8, false, whole).driver_and_desktop, kHalfGiB);
  config::RuntimeConfig runtime;
  runtime.memory_limit = "7.5GiB";
  const Machine limited = machine_of(*find_card("3060ti"), runtime);
  EXPECT_EQ(limited.memory_bytes, 15 * kHalfGiB);
  EXPECT_EQ(memory_need(workload, 8, false, limited).driver_and_desktop, 0);
  EXPECT_EQ(rows_that_fit(workload, 1'000, false, whole), rows_that_fit(workload, 1'000, false, limited));
  for (const auto& [limit, left] : {std::pair("7.75GiB", kHalfGiB / 2), std::pair("99GiB", kHalfGiB)}) {
    runtime.memory_limit = limit;
    EXPECT_EQ(memory_need(workload, 8, false, machine_of(*find_card("3060ti"), runtime)).driver_and_desktop, left);
  }
  EXPECT_EQ(memory_need(workload, 8, false, Machine{.name = "this machine"}).driver_and_desktop, 0)
      << "of this machine";
}

TEST(MemoryNeed, HasNoGradientTableWhereProductsAddToTheGradients) {
  const Workload workload = pretraining(bert_base(), 32'768, 128);
  Machine machine = card("3060ti", Precision::kFp32);
  const int64_t with_table = memory_need(workload, 1, false, machine).workspace;
  machine.sums_gradients = true;
  EXPECT_GE(with_table - memory_need(workload, 1, false, machine).workspace, 4 * 32'768 * 768);
}

// A chunk of the logits in fp32 and what logsumexp makes of it are there while all is kept for backward.
TEST(MemoryNeed, HasTheLossesFp32BuffersOfAGpu) {
  config::PretrainConfig config = bert_base();
  config.model.hidden = 256;
  config.model.layers = config.model.heads = 4;
  config.model.ffn = 1024;
  config.mask.mask_prob = 0.40;
  Machine machine = card("3060ti");
  const auto workspace = [&](int64_t rows) {
    return static_cast<double>(memory_need(pretraining(config, 32'768, 128), rows, false, machine).workspace);
  };
  const double head = 0.40 * (32'768 + 4 * 256) * 2;  // bytes per token
  EXPECT_NEAR(workspace(16), 16 * 128 * head + 2 * 4 * static_cast<double>(nn::kLossChunkCuda), 1);
  EXPECT_NEAR(workspace(5), 5 * 128 * (head + 2 * 4 * 0.40 * 32'768), 1) << "less than a chunk";
  // In backward, of many rows the most: a copy of the logits and the gradient of the embeddings.
  EXPECT_NEAR(workspace(128), 128 * 128 * (head + 0.40 * 32'768 * 2) + 32'768 * 256 * 2, 1);
  machine.has_kernels = true;
  EXPECT_NEAR(workspace(16), 16 * 128 * (head + 0.40 * 32'768 * 2) + 32'768 * 256 * 2, 1) << "own kernels need none";
}

/// What dropout adds to the activations of 8 rows of 128 tokens.
double dropout_bytes(config::PretrainConfig config, const Machine& machine) {
  const auto activations = [&](double dropout) {
    config.model.dropout = dropout;
    return static_cast<double>(memory_need(pretraining(config, 32'768, 128), 8, false, machine).activations);
  };
  return activations(0.1) - activations(0);
}

TEST(MemoryNeed, HasTheMasksOfDropoutOnAGpu) {
  const double layers = 11 + 0.15;  // the last for the masked tokens only
  config::PretrainConfig config = bert_base();
  EXPECT_NEAR(dropout_bytes(config, card("3060ti")), 8 * 128 * layers * 2 * 768, 2);
  config.model.arch = config::Arch::kModern;
  EXPECT_NEAR(dropout_bytes(config, card("3060ti")), 8 * 128 * layers * (768 + 3072), 2);
}

TEST(MemoryNeed, HasNothingOfDropoutOnACpuUnlessAttentionIsAChainOfProducts) {
  Machine machine = {.name = "this machine", .precision = Precision::kFp32, .sums_gradients = true};
  EXPECT_EQ(dropout_bytes(bert_base(), machine), 0);
  machine.sums_gradients = false;  // BERTCRAM_FUSED=off
  EXPECT_NEAR(dropout_bytes(bert_base(), machine), 1.15 * 8 * 128 * 12 * (12 * 128 * 2 * 4), 2);
  machine.precision = Precision::kBf16;
  machine.has_kernels = true;
  EXPECT_EQ(dropout_bytes(bert_base(), machine), 0);
}

TEST(MemoryNeed, HasProbabilitiesWhereNoFusedAttentionTakesTheHeads) {
  config::PretrainConfig config = bert_base();
  const auto probability_bytes = [&](double dropout) {  // in fp16, which Turing computes in, flash attention in bf16
    config.model.dropout = dropout;
    const Workload workload = pretraining(config, 32'768, 128);
    return static_cast<double>(memory_need(workload, 8, false, card("2080ti")).activations -
                               memory_need(workload, 8, false, card("3060ti")).activations);
  };
  EXPECT_EQ(probability_bytes(0.1), 0);
  config.model.hidden = 312;  // TinyBERT's: heads of 26
  EXPECT_NEAR(probability_bytes(0), 8 * 128 * 12 * (12 * 128 * 4), 2);
  EXPECT_NEAR(probability_bytes(0.1), 8 * 128 * 12 * (12 * 128 * 9), 2);
}

/// A CPU with our kernels for bf16 whose products are oneDNN's, as with AMX.
Machine with_their_products() {
  return {.name = "this machine",
          .precision = Precision::kBf16,
          .flops = 1e12,
          .bytes_per_second = 20e9,
          .has_kernels = true};
}

Machine with_our_products() {
  Machine machine = with_their_products();
  machine.has_product_kernels = machine.sums_gradients = true;
  return machine;
}

TEST(MemoryNeed, HasPackedWeightsWhereProductsAreOursAndGradientsWhereTheyAreNot) {
  const Workload workload = pretraining(bert_base(), 32'768, 128);
  const MemoryNeed ours = memory_need(workload, 8, false, with_our_products());
  const MemoryNeed theirs = memory_need(workload, 8, false, with_their_products());
  EXPECT_EQ(workload.packed_numbers, workload.linear_numbers);
  EXPECT_EQ(ours.packed_weights, 2 * 2 * workload.packed_numbers);
  EXPECT_EQ(theirs.packed_weights, 0);
  EXPECT_GE(theirs.workspace - ours.workspace, 2 * 32'768 * 768);
  EXPECT_EQ(theirs.activations, ours.activations);
}

TEST(MemoryNeed, HasADecoderThatIsNotPackedWhereItsWidthDoesNotFitOurProducts) {
  config::PretrainConfig config = bert_base();
  config.mask.mask_prob = 0.40;  // so that the head is the fullest moment
  const Workload fits = pretraining(config, 30'528, 128);
  const Workload odd = pretraining(config, 30'522, 128);  // BERT's own vocabulary
  EXPECT_EQ(fits.packed_numbers, fits.linear_numbers);
  EXPECT_EQ(odd.packed_numbers, odd.linear_numbers - 30'522 * 768);
  const auto workspace_above = [&](const Machine& machine) {
    return static_cast<double>(memory_need(odd, 8, false, machine).workspace -
                               memory_need(fits, 8, false, machine).workspace);
  };
  // A copy of the logits, and the gradient of the embeddings as a table of its own.
  EXPECT_NEAR(workspace_above(with_our_products()),
              1.15 * 8 * 128 * 0.40 * 2 * (2 * 30'522 - 30'528) + 2 * 30'522 * 768, 2);
  EXPECT_LT(workspace_above({.name = "this machine", .precision = Precision::kFp32, .sums_gradients = true}), 0)
      << "LibTorch's products take any width";
}

TEST(StepSeconds, AreThoseOfTheProductsThatRun) {
  const Workload workload = pretraining(bert_base(), 32'768, 128);
  const StepSeconds ours = step_seconds(workload, 8, 4, false, with_our_products());
  const StepSeconds theirs = step_seconds(workload, 8, 4, false, with_their_products());
  const double flops = 4 * 8 * 128 * workload.flops_per_token;
  EXPECT_NEAR(theirs.products, flops / (0.80 * 1e12), 1e-9);
  EXPECT_NEAR(ours.products, flops / (1.04 * 768 / (768 + 60) * 1e12), 1e-9);
  EXPECT_NEAR(ours.memory - theirs.memory, 4 * 2 * static_cast<double>(workload.packed_numbers) / 20e9, 1e-9);
  EXPECT_EQ(ours.update, theirs.update);
}

TEST(StepSeconds, HaveMuonsProducts) {
  config::PretrainConfig config = bert_base();
  const Workload adamw = pretraining(config, 32'768, 128);
  EXPECT_EQ(adamw.update_flops, 0);
  config.optim.algorithm = config::Algorithm::kMuon;
  const Workload muon = pretraining(config, 32'768, 128);
  const double square = 5 * 6 * std::pow(768.0, 3);  // 768 × 768
  const double oblong = 5 * (4 * 768.0 * 768 * 3072 + 2 * std::pow(768.0, 3));
  EXPECT_NEAR(muon.update_flops / (12 * (4 * square + 2 * oblong) + square), 1.0, 1e-12);
  const Machine machine = card("3060ti");
  EXPECT_NEAR(step_seconds(muon, 8, 4, false, machine).update - step_seconds(adamw, 8, 4, false, machine).update,
              muon.update_flops / (0.75 * 32.4e12), 1e-9);

  config.model.arch = config::Arch::kModern;  // the gated layer is two maps
  EXPECT_NEAR(pretraining(config, 32'768, 128).update_flops / (12 * (4 * square + 3 * oblong) + square), 1.0, 1e-12);
  config.objective = config::Objective::kRtd;
  config.rtd.generator_layers = 4;
  EXPECT_NEAR(pretraining(config, 32'768, 128).update_flops / ((12 + 4) * (4 * square + 3 * oblong) + 2 * square), 1.0,
              1e-12);
}

TEST(MemoryNeed, OfRecomputedLayersIsLess) {
  const Workload workload = pretraining(bert_base(), 32'768, 128);
  EXPECT_LT(3 * memory_need(workload, 64, true, card("3060ti")).activations,
            memory_need(workload, 64, false, card("3060ti")).activations);
}

// Passes are fullest where most tokens are masked; time is that of the mean.
TEST(RowsThatFit, AreThoseOfAMaskingSchedulesFullestPasses) {
  config::PretrainConfig config = bert_base();
  config.mask.mask_prob = 0.3;
  const Workload constant = pretraining(config, 32'768, 128);
  config.mask.end_mask_prob = 0.15;
  const Workload falling = pretraining(config, 32'768, 128);
  config.mask.mask_prob = 0.15;
  config.mask.end_mask_prob = 0.3;
  const Workload rising = pretraining(config, 32'768, 128);
  const Machine machine = card("3060ti");
  EXPECT_EQ(memory_need(falling, 64, false, machine).total(), memory_need(constant, 64, false, machine).total());
  EXPECT_EQ(memory_need(rising, 64, false, machine).total(), memory_need(constant, 64, false, machine).total());
  EXPECT_EQ(rows_that_fit(falling, 1'000, false, machine), rows_that_fit(constant, 1'000, false, machine));
  EXPECT_LT(falling.flops_per_token, constant.flops_per_token);
}

TEST(RowsThatFit, AreTheMost) {
  const Workload workload = pretraining(bert_base(), 32'768, 128);
  const Machine machine = card("3060ti");
  const int64_t rows = rows_that_fit(workload, 100'000, false, machine);
  EXPECT_GT(rows, 80);  // reference/anchors.md: 100 to 128 rows of 128 tokens on 8 GB
  EXPECT_LT(rows, 160);
  EXPECT_LE(memory_need(workload, rows, false, machine).total(), machine.memory_bytes);
  EXPECT_GT(memory_need(workload, rows + 1, false, machine).total(), machine.memory_bytes);
  EXPECT_EQ(rows_that_fit(workload, 5, false, machine), 5);
}

}  // namespace
}  // namespace bertcram::plan
