// Checkpoints: whole or absent, exact, and never believed when damaged.

#include "bertcram/checkpoint/checkpoint.h"

#include "bertcram/checkpoint/background_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::checkpoint {
namespace {

using test::contains;
using test::message_of;
using test::same_bits;
using test::ScratchDirectory;

/// Three lists of two tensors each, filled from the seed; 0 leaves zeros.
TrainTensors tensors_of(uint64_t seed) {
  util::RandomStream random(seed);
  const auto list = [&]() -> std::vector<nn::NamedTensor> {
    std::vector<nn::NamedTensor> tensors = {{"w", test::random_tensor(random, {3, 5}).to(at::kFloat)},
                                            {"b", test::random_tensor(random, {4}).to(at::kFloat)}};
    for (nn::NamedTensor& each : tensors) {
      if (seed == 0) {
        each.tensor.zero_();
      }
    }
    return tensors;
  };
  TrainTensors tensors;
  tensors.masters = list();
  tensors.first_moments = list();
  tensors.second_moments = list();
  return tensors;
}

bool are_equal(const std::vector<nn::NamedTensor>& a, const std::vector<nn::NamedTensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const nn::NamedTensor& x, const nn::NamedTensor& y) {
    return x.name == y.name && same_bits(x.tensor, y.tensor);
  });
}

bool are_equal(const TrainTensors& a, const TrainTensors& b) {
  return are_equal(a.masters, b.masters) && are_equal(a.first_moments, b.first_moments) &&
         are_equal(a.second_moments, b.second_moments);
}

TrainState state_at(int64_t step) {
  return {.step = step,
          .samples = step * 8,
          .tokens = step * 1024,
          .elapsed_seconds = 0.1 * static_cast<double>(step),
          .optimizer_steps = step - 1,
          .config_yaml = "seed: 1\n# \"quotes\" and ümlauts\n",
          .data_id = "abc",
          .runtime = "cpu",
          .evaluated_step = step - 1,
          .evaluated_share = 0.3,
          .reserved_seconds = 1.7,
          .final_evaluation_step = step,
          .final_evaluation_rows = 2 * step,
          .metrics_bytes = 99,
          .eval_loss = 4.5,
          .passes = {.rows = 7, .recomputes = true},
          .skipped_steps = 3,
          .rate_factor = 0.5,
          .loss_scale = {.factor = 256.0, .good_steps = 12}};
}

std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Checkpoint, AnUpdateChangesTheStateAndNothingElse) {
  const ScratchDirectory scratch;
  const TrainTensors saved = tensors_of(1);
  save_checkpoint(scratch.path(), state_at(7), saved, {.newest = 2});
  TrainState changed = state_at(7);
  changed.final_evaluation_step = 7;
  changed.metrics_bytes = 1234;
  update_state(scratch.path(), changed);
  const TrainTensors loaded = tensors_of(0);
  const TrainState state = load_checkpoint(list_checkpoints(scratch.path())[0], loaded);
  EXPECT_TRUE(are_equal(loaded, saved));
  EXPECT_EQ(state.final_evaluation_step, 7);
  EXPECT_EQ(state.metrics_bytes, 1234);
  EXPECT_THROW(update_state(scratch.path(), state_at(8)), DataError);
}

TEST(Checkpoint, RestoresExactlyWhatWasSaved) {
  const ScratchDirectory scratch;
  const TrainTensors saved = tensors_of(1);
  save_checkpoint(scratch.path(), state_at(7), saved, {.newest = 2});
  const auto found = list_checkpoints(scratch.path());
  ASSERT_EQ(found.size(), 1U);
  const TrainTensors loaded = tensors_of(0);
  const TrainState state = load_checkpoint(found[0], loaded);
  EXPECT_TRUE(are_equal(loaded, saved));
  const TrainState wanted = state_at(7);
  for (const TrainState& read : {state, read_state(found[0])}) {
    EXPECT_EQ(read.step, 7);
    EXPECT_EQ(read.samples, wanted.samples);
    EXPECT_EQ(read.tokens, wanted.tokens);
    EXPECT_EQ(read.elapsed_seconds, wanted.elapsed_seconds);  // to the last bit
    EXPECT_EQ(read.optimizer_steps, wanted.optimizer_steps);
    EXPECT_EQ(read.config_yaml, wanted.config_yaml);
    EXPECT_EQ(read.data_id, wanted.data_id);
    EXPECT_EQ(read.runtime, wanted.runtime);
    EXPECT_EQ(read.evaluated_step, wanted.evaluated_step);
    EXPECT_EQ(read.evaluated_share, wanted.evaluated_share);
    EXPECT_EQ(read.reserved_seconds, wanted.reserved_seconds);
    EXPECT_EQ(read.final_evaluation_step, wanted.final_evaluation_step);
    EXPECT_EQ(read.final_evaluation_rows, wanted.final_evaluation_rows);
    EXPECT_EQ(read.metrics_bytes, wanted.metrics_bytes);
    EXPECT_EQ(read.eval_loss, wanted.eval_loss);
    EXPECT_EQ(read.passes.rows, wanted.passes.rows);
    EXPECT_EQ(read.passes.recomputes, wanted.passes.recomputes);
    EXPECT_EQ(read.skipped_steps, wanted.skipped_steps);
    EXPECT_EQ(read.rate_factor, wanted.rate_factor);
    EXPECT_EQ(read.loss_scale.factor, wanted.loss_scale.factor);
    EXPECT_EQ(read.loss_scale.good_steps, wanted.loss_scale.good_steps);
  }
}

TEST(Checkpoint, TheNewestAreKeptAndListedFirst) {
  const ScratchDirectory scratch;
  for (const int64_t step : {8, 9, 10, 11, 100}) {
    save_checkpoint(scratch.path(), state_at(step), tensors_of(1), {.newest = 3});
  }
  EXPECT_EQ(names_in(scratch.path()),
            (std::vector<std::string>{"step-0000000010", "step-0000000011", "step-0000000100"}));
  const auto found = list_checkpoints(scratch.path());
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(read_state(found[0]).step, 100);
  EXPECT_EQ(read_state(found[2]).step, 10);
}

/// A checkpoint right after an evaluation.
void save_evaluated(const std::filesystem::path& folder, int64_t step, double seconds, double loss,
                    const Retention& retention) {
  TrainState state = state_at(step);
  state.elapsed_seconds = seconds;
  state.eval_loss = loss;
  state.evaluated_step = step;
  save_checkpoint(folder, state, tensors_of(1), retention);
}

TEST(Checkpoint, TheBestStaysAndTheFirstOfEachStretchOfTime) {
  const ScratchDirectory scratch;
  const std::vector<std::pair<double, double>> at = {{50, 5.0},  {101, 3.0}, {150, 2.0},
                                                     {210, 4.0}, {290, 4.5}, {295, 4.6}};
  int64_t step = 0;
  for (const auto& [seconds, loss] : at) {
    save_evaluated(scratch.path(), ++step, seconds, loss, {.newest = 1, .best = true, .every_seconds = 100});
  }
  EXPECT_EQ(names_in(scratch.path()),
            (std::vector<std::string>{"step-0000000002", "step-0000000003", "step-0000000004", "step-0000000006"}));
  clean_up(scratch.path(), {.newest = 1, .best = true});
  EXPECT_EQ(names_in(scratch.path()), (std::vector<std::string>{"step-0000000003", "step-0000000006"}));
  clean_up(scratch.path(), {.newest = 1});
  EXPECT_EQ(names_in(scratch.path()), (std::vector<std::string>{"step-0000000006"}));
}

TEST(Checkpoint, OnlyWhereALossWasMeasuredCanItBeTheBest) {
  const ScratchDirectory scratch;
  save_evaluated(scratch.path(), 1, 10, 2.0, {.newest = 9});
  TrainState later = state_at(2);  // the loss is that of step 1
  later.eval_loss = 2.0;
  later.evaluated_step = 1;
  save_checkpoint(scratch.path(), later, tensors_of(1), {.newest = 9});
  save_evaluated(scratch.path(), 3, 30, 3.0, {.newest = 1, .best = true});
  EXPECT_EQ(names_in(scratch.path()), (std::vector<std::string>{"step-0000000001", "step-0000000003"}));
}

TEST(Checkpoint, WithoutRoomWhatOnlyItsAgeKeepsGoes) {
  const ScratchDirectory scratch;
  TrainTensors huge;  // nothing stands behind them, and no disk holds them
  huge.masters = {{"w", at::zeros({1}).expand({int64_t{1} << 60})}};
  for (const int64_t step : {1, 2, 3, 4}) {
    save_evaluated(scratch.path(), step, static_cast<double>(step), step == 2 ? 1.0 : 5.0, {.newest = 9});
  }
  scratch.write(".partial-step-0000000005/weights.safetensors", "half");
  EXPECT_EQ(make_room(scratch.path(), tensors_of(1), {.newest = 9}), 0) << "there is room";
  EXPECT_FALSE(std::filesystem::exists(scratch / ".partial-step-0000000005"));
  EXPECT_EQ(make_room(scratch.path(), huge, {.newest = 9, .best = true}), 2);
  EXPECT_EQ(names_in(scratch.path()), (std::vector<std::string>{"step-0000000002", "step-0000000004"}));
}

TEST(Checkpoint, WithoutRoomNothingIsBegun) {
  const ScratchDirectory scratch;
  TrainTensors huge;  // 4 EB that nothing stands behind
  huge.masters = {{"w", at::zeros({1}).expand({int64_t{1} << 60})}};
  EXPECT_TRUE(contains(message_of<ResourceError>([&] { require_room(scratch.path(), huge); }), "make room"));
  EXPECT_NO_THROW(require_room(scratch.path(), tensors_of(1)));
}

TEST(BackgroundWriter, WritesWhatTheTensorsWereWhenItWasStarted) {
  const ScratchDirectory scratch;
  BackgroundWriter writer(scratch.path());
  TrainTensors changing = tensors_of(3);
  const TrainTensors expected = tensors_of(3);
  writer.start(state_at(5), changing, {.newest = 2});
  for (auto* list : {&changing.masters, &changing.first_moments, &changing.second_moments}) {
    for (nn::NamedTensor& each : *list) {
      each.tensor.fill_(7.0);
    }
  }
  writer.wait();
  TrainTensors read = tensors_of(0);
  EXPECT_EQ(load_checkpoint(list_checkpoints(scratch.path()).at(0), read).step, 5);
  EXPECT_TRUE(are_equal(read, expected));
}

TEST(BackgroundWriter, SaysOnceWhatWentWrongAndGoesOn) {
  const ScratchDirectory scratch;
  BackgroundWriter writer(scratch.path());
  TrainTensors unsuitable = tensors_of(1);  // weights are written in fp32 alone, which shows on the thread
  unsuitable.masters[0].tensor = unsuitable.masters[0].tensor.to(at::kDouble);
  writer.start(state_at(1), unsuitable, {.newest = 2});
  EXPECT_THROW(writer.wait(), Error);
  EXPECT_NO_THROW(writer.wait()) << "said once";
  EXPECT_FALSE(writer.is_busy());
  EXPECT_TRUE(names_in(scratch.path()).empty());
  writer.start(state_at(2), tensors_of(1), {.newest = 2});
  EXPECT_NO_THROW(writer.wait());
  EXPECT_EQ(list_checkpoints(scratch.path()).size(), 1U);
  EXPECT_GT(writer.seconds_of_last(), 0.0);
}

TEST(Checkpoint, PartialFoldersAreNotListedAndGoWithTheNextSave) {
  const ScratchDirectory scratch;
  save_checkpoint(scratch.path(), state_at(1), tensors_of(1), {.newest = 2});
  scratch.write(".partial-step-0000000002/weights.safetensors", "half");
  scratch.write(".partial-step-0000000002/state.json", "{}");
  scratch.write("step-0000000003/weights.safetensors", "no state.json");
  EXPECT_EQ(list_checkpoints(scratch.path()).size(), 1U);
  save_checkpoint(scratch.path(), state_at(2), tensors_of(1), {.newest = 2});
  EXPECT_EQ(list_checkpoints(scratch.path()).size(), 2U);
  for (const std::string& name : names_in(scratch.path())) {
    EXPECT_FALSE(name.starts_with(".partial-")) << name;
  }
}

// Found by review: a copy stood for the newest, and what it was copied from went as "newer".
TEST(Checkpoint, CopiesUnderOtherNamesAreNotListedAndStay) {
  const ScratchDirectory scratch;
  save_checkpoint(scratch.path(), state_at(1), tensors_of(1), {.newest = 1});
  const auto original = list_checkpoints(scratch.path()).at(0);
  const std::vector<std::string> copies = {"step-0000000001.good", "step-1", "step-", "step-0000000002x"};
  for (const std::string& name : copies) {
    std::filesystem::copy(original, scratch / name);
  }
  EXPECT_EQ(list_checkpoints(scratch.path()), (std::vector{original}));
  discard_newer(scratch.path(), 1);
  save_checkpoint(scratch.path(), state_at(2), tensors_of(1), {.newest = 1});
  EXPECT_EQ(list_checkpoints(scratch.path()).size(), 1U);
  for (const std::string& name : copies) {
    EXPECT_TRUE(std::filesystem::exists(scratch / name / "weights.safetensors")) << name;
  }
}

TEST(Checkpoint, AMissingFolderHasNone) { EXPECT_TRUE(list_checkpoints("/nowhere/checkpoints").empty()); }

// Found by review: a damaged checkpoint of the same step was taken for the one to be written, and stayed for ever.
TEST(Checkpoint, ADamagedOneOfTheSameStepIsReplaced) {
  const ScratchDirectory scratch;
  save_checkpoint(scratch.path(), state_at(5), tensors_of(1), {.newest = 2});
  const auto folder = list_checkpoints(scratch.path())[0];
  test::write_bytes(folder / "weights.safetensors", "damaged");
  save_checkpoint(scratch.path(), state_at(5), tensors_of(2), {.newest = 2});
  const TrainTensors loaded = tensors_of(0);
  EXPECT_NO_THROW(load_checkpoint(folder, loaded));
  EXPECT_TRUE(are_equal(loaded, tensors_of(2)));
  EXPECT_EQ(names_in(scratch.path()).size(), 1U);
}

TEST(Checkpoint, APlaceThatCannotBeWrittenIsAResourceError) {
  EXPECT_THROW(save_checkpoint("/proc/none", state_at(1), tensors_of(1), {.newest = 2}), ResourceError);
}

// Found by review: a folder that a killed session left under the name for what goes made all later ones fail.
TEST(Checkpoint, WhatAKilledSessionLeftIsNotInTheWay) {
  const ScratchDirectory scratch;
  save_checkpoint(scratch.path(), state_at(5), tensors_of(1), {.newest = 2});
  save_checkpoint(scratch.path(), state_at(6), tensors_of(1), {.newest = 2});
  for (const char* name : {"step-0000000006", "step-0000000006-replaced", "replaced-step-0000000006"}) {
    scratch.write(std::string(".partial-") + name + "/in the way", "");
  }
  save_checkpoint(scratch.path(), state_at(6), tensors_of(2), {.newest = 2});
  EXPECT_EQ(names_in(scratch.path()).size(), 2U);
  const TrainTensors loaded = tensors_of(0);
  load_checkpoint(list_checkpoints(scratch.path())[0], loaded);
  EXPECT_TRUE(are_equal(loaded, tensors_of(2)));
  scratch.write(".partial-step-0000000006/in the way", "");
  discard_newer(scratch.path(), 5);
  EXPECT_EQ(list_checkpoints(scratch.path()).size(), 1U);
}

TEST(CheckpointFormat, AFlippedByteInAnyFileIsADataErrorThatChangesNothing) {
  const ScratchDirectory scratch;
  save_checkpoint(scratch.path(), state_at(1), tensors_of(1), {.newest = 2});
  const auto folder = list_checkpoints(scratch.path())[0];
  EXPECT_EQ(names_in(folder), (std::vector<std::string>{"first_moments.safetensors", "second_moments.safetensors",
                                                        "state.json", "weights.safetensors"}));
  for (const std::string& name : names_in(folder)) {
    const std::string whole = test::read_bytes(folder / name);
    for (size_t at = 0; at < whole.size(); at += name == "state.json" ? 1U : 3U) {
      std::string damaged = whole;
      damaged[at] ^= static_cast<char>(1U << at % 7);
      test::write_bytes(folder / name, damaged);
      const TrainTensors loaded = tensors_of(0);
      // The white space that makes state.json readable is not part of what it says.
      if (name == "state.json" && whole[at] <= ' ' && (damaged[at] == ' ' || damaged[at] == '\n')) {
        continue;
      }
      EXPECT_THROW(load_checkpoint(folder, loaded), DataError) << name << " byte " << at;
      EXPECT_TRUE(are_equal(loaded, tensors_of(0))) << name << ": some tensors were loaded";
    }
    test::write_bytes(folder / name, whole);
  }
  EXPECT_NO_THROW(load_checkpoint(folder, tensors_of(0)));
}

TEST(CheckpointFormat, TruncatedAndMissingFilesAreDataErrors) {
  const ScratchDirectory scratch;
  save_checkpoint(scratch.path(), state_at(1), tensors_of(1), {.newest = 2});
  const auto folder = list_checkpoints(scratch.path())[0];
  for (const std::string& name : names_in(folder)) {
    const std::string whole = test::read_bytes(folder / name);
    for (size_t length = 0; length + 1 < whole.size(); length += 5) {
      test::write_bytes(folder / name, whole.substr(0, length));
      EXPECT_THROW(load_checkpoint(folder, tensors_of(0)), DataError) << name << " cut to " << length;
    }
    std::filesystem::remove(folder / name);
    EXPECT_TRUE(contains(message_of<DataError>([&] { load_checkpoint(folder, tensors_of(0)); }), name));
    test::write_bytes(folder / name, whole);
  }
}

// As another version of bertcram might write it: whole, by its checksum, and not what this one reads.
TEST(CheckpointFormat, AStateWithoutAFieldIsADataErrorAndNeverTheBest) {
  const ScratchDirectory scratch;
  save_checkpoint(scratch.path(), state_at(1), tensors_of(1), {.newest = 2});
  const auto folder = list_checkpoints(scratch.path())[0];
  const auto whole = util::parse_json(test::read_bytes(folder / "state.json"));
  for (const std::string field : {"xxh3_128", "data_id", "step"}) {
    auto stored = whole;
    stored.erase(field);
    stored.erase("self_xxh3_128");
    stored["self_xxh3_128"] = util::hash128(util::json_text(stored)).hex();
    test::write_bytes(folder / "state.json", util::json_text(stored));
    EXPECT_TRUE(contains(message_of<DataError>([&] { load_checkpoint(folder, tensors_of(0)); }), cat("'", field, "'")));
    EXPECT_THROW(update_state(scratch.path(), state_at(1)), DataError) << field;
  }
  save_checkpoint(scratch.path(), state_at(2), tensors_of(1), {.newest = 1, .best = true});
  EXPECT_EQ(names_in(scratch.path()), std::vector<std::string>{"step-0000000002"});
}

TEST(CheckpointFormat, TensorsOfAnotherModelAreADataError) {
  const ScratchDirectory scratch;
  save_checkpoint(scratch.path(), state_at(1), tensors_of(1), {.newest = 2});
  const auto folder = list_checkpoints(scratch.path())[0];
  TrainTensors other = tensors_of(0);
  other.masters[0].name = "v";
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_checkpoint(folder, other); }), "other tensors"));
  other = tensors_of(0);
  other.second_moments[0].tensor = at::zeros({5, 3});
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_checkpoint(folder, other); }), "expected [5, 3]"));
}

}  // namespace
}  // namespace bertcram::checkpoint
