// From YAML files and overrides to one configuration, for every config struct there is.

#include "bertcram/config/resolve.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bertcram/config/embed_config.h"
#include "bertcram/config/eval_config.h"
#include "bertcram/config/finetune_config.h"
#include "bertcram/config/pack_config.h"
#include "bertcram/config/predict_config.h"
#include "bertcram/config/pretrain_config.h"
#include "bertcram/config/tokenize_config.h"
#include "bertcram/util/random.h"
#include "util/test_support.h"

namespace bertcram::config {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;

/// The working directory while it lives.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const std::filesystem::path& folder) : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(folder);
  }
  ~WorkingDirectory() { std::filesystem::current_path(before_); }
  WorkingDirectory(const WorkingDirectory&) = delete;
  WorkingDirectory& operator=(const WorkingDirectory&) = delete;

 private:
  std::filesystem::path before_;
};

/// A value that the field accepts and does not have; its range is asked, not known.
void change(const Field& field, util::RandomStream& random) {
  const std::string before = field.text();
  const std::vector<std::string> texts = {
      "path/to/file", "with space", "quote\" and \\", "a: b # c",  "null",    "true",    "0012", "~",
      "- dash",       "ümläut",     "line\nbreak",    "tab\there", "{brace}", "'single'"};
  for (int attempt = 0; attempt < 1000 && field.text() == before; ++attempt) {
    if (std::holds_alternative<int64_t*>(field.value)) {
      (void)field.assign(std::to_string(random.below(uint64_t{1} << random.below(14))));
    } else if (std::holds_alternative<double*>(field.value)) {
      (void)field.assign(std::to_string(random.uniform() * (random.below(2) == 0 ? 1.0 : 100.0)));
    } else if (std::holds_alternative<bool*>(field.value)) {
      (void)field.assign(random.below(2) == 0 ? "true" : "false");
    } else if (const auto* list = std::get_if<std::vector<std::string>*>(&field.value)) {
      **list = {texts[random.below(texts.size())], "", texts[random.below(texts.size())]};
    } else if (const auto* choice = std::get_if<EnumRef>(&field.value)) {
      choice->set(random.below(choice->words.size()));
      if (choice->words.size() == 1) {
        return;
      }
    } else {
      (void)field.assign(field.is_duration ? cat(1 + random.below(100), "m") : texts[random.below(texts.size())]);
    }
  }
  EXPECT_NE(field.text(), before) << field.path;
}

std::vector<std::string> texts_of(const std::vector<Field>& fields) {
  std::vector<std::string> texts;
  std::transform(fields.begin(), fields.end(), std::back_inserter(texts),
                 [](const Field& field) { return field.path + "=" + field.text(); });
  return texts;
}

template <class Config>
class EveryConfigProperty : public ::testing::Test {};
/// Those of cli/config_command.cpp. The default of a SourceConfig, no limit, cannot be written: it does not belong here.
using AllConfigs = ::testing::Types<PretrainConfig, FinetuneConfig, TokenizeConfig, PackConfig, EvalConfig, EmbedConfig,
                                    FillMaskConfig, PredictConfig>;
TYPED_TEST_SUITE(EveryConfigProperty, AllConfigs);

TYPED_TEST(EveryConfigProperty, ReadsBackWhatItDumps) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  for (int round = 0; round < 20; ++round) {
    TypeParam config;
    const auto fields = fields_of(config);
    for (const Field& field : fields) {
      change(field, random);
    }
    for (const DumpStyle style : {DumpStyle::kPlain, DumpStyle::kCommented}) {
      TypeParam read;
      const auto read_fields = fields_of(read);
      const std::string yaml = dump_yaml(fields, style);
      apply_yaml(read_fields, yaml, "dump");
      for (size_t i = 0; i < fields.size(); ++i) {
        const bool is_hidden = fields[i].is_private && style == DumpStyle::kPlain;
        ASSERT_EQ(read_fields[i].text(), is_hidden ? "\"\"" : fields[i].text()) << yaml;
      }
    }
  }
}

TYPED_TEST(EveryConfigProperty, DefaultsReadBackAndAreAccepted) {
  TypeParam config;
  TypeParam read;
  apply_yaml(fields_of(read), dump_yaml(fields_of(config), DumpStyle::kCommented), "dump");
  EXPECT_EQ(texts_of(fields_of(read)), texts_of(fields_of(config)));
}

TYPED_TEST(EveryConfigProperty, PathsAreDifferentAndHelpIsThere) {
  TypeParam config;
  std::vector<std::string> paths;
  for (const Field& field : fields_of(config)) {
    paths.push_back(field.path);
    EXPECT_FALSE(field.help.empty()) << field.path;
  }
  std::sort(paths.begin(), paths.end());
  EXPECT_EQ(std::adjacent_find(paths.begin(), paths.end()), paths.end());
}

TYPED_TEST(EveryConfigProperty, FingerprintChangesWithEveryTrackedFieldAndNoOther) {
  util::RandomStream random(test::test_seed());
  TypeParam untouched;
  const std::string before = fingerprint(fields_of(untouched));
  const size_t count = fields_of(untouched).size();
  for (size_t i = 0; i < count; ++i) {
    TypeParam config;
    const auto fields = fields_of(config);
    change(fields[i], random);
    const bool has_changed = fields[i].text() != fields_of(untouched)[i].text();
    EXPECT_EQ(fingerprint(fields) != before, fields[i].is_tracked && has_changed) << fields[i].path;
    EXPECT_EQ(differences(fields_of(untouched), fields).size(), fields[i].is_tracked && has_changed ? 1U : 0U);
  }
}

TEST(Resolve, WhatMayHoldAPasswordIsNotWrittenIntoTheFilesOfARun) {
  PretrainConfig config;
  config.on_event = "curl https://example.org/secret";
  EXPECT_FALSE(test::contains(dump_yaml(fields_of(config), DumpStyle::kPlain), "secret"));
  EXPECT_TRUE(test::contains(dump_yaml(fields_of(config), DumpStyle::kCommented), "secret"));
}

/// The message for YAML text that is refused, as if it stood in run.yaml.
std::string refusal(const std::string& yaml) {
  PretrainConfig config;
  return message_of<ConfigError>([&] { apply_yaml(fields_of(config), yaml, "run.yaml"); });
}

TEST(Resolve, AnUnknownKeyIsRefusedWithItsLineAndTheNearestKey) {
  EXPECT_EQ(refusal("seed: 1\nmask:\n  mask_prop: 0.2\n"),
            "run.yaml:3: unknown key 'mask.mask_prop'; did you mean 'mask.mask_prob'?");
  EXPECT_EQ(refusal("sed: 1\n"), "run.yaml:1: unknown key 'sed'; did you mean 'seed'?");
  EXPECT_EQ(refusal("qqqqqqqqqqqq: 1\n"), "run.yaml:1: unknown key 'qqqqqqqqqqqq'");
}

TEST(Resolve, AKeyOfAnotherSectionCommandOrProgramIsRecognised) {
  EXPECT_EQ(refusal("budgett:\n  steps: 5\n"), "run.yaml:1: unknown key 'budgett'; did you mean 'budget'?");
  EXPECT_EQ(refusal("optim: {lr: 1e-3}\n"), "run.yaml:1: unknown key 'optim.lr'; did you mean 'optim.learning_rate'?");
  EXPECT_EQ(refusal("batch_size: 32\n"), "run.yaml:1: unknown key 'batch_size'; did you mean 'batch.rows'?");
  EXPECT_EQ(refusal("learning_rate: 1e-3\n"),
            "run.yaml:1: unknown key 'learning_rate'; did you mean 'optim.learning_rate'? 'learning_rate' is a key of "
            "finetune-glue");
  EXPECT_EQ(refusal("lerning_rate: 1e-3\n"),
            "run.yaml:1: unknown key 'lerning_rate'; did you mean 'optim.learning_rate'?");
  EXPECT_EQ(refusal("task_file: own.yaml\n"),
            "run.yaml:1: unknown key 'task_file'; it is a key of finetune-glue, eval");
  PretrainConfig pretrain;
  EXPECT_TRUE(contains(message_of<ConfigError>([&] {
                         apply_sources(fields_of(pretrain),
                                       {.files = {}, .overrides = {parse_set_argument("optim=1")}});
                       }),
                       "'optim' is a section; give one of its keys, such as 'optim."));
  EXPECT_EQ(refusal("input: a.txt\n"), "run.yaml:1: unknown key 'input'; it is a key of tokenize, pack");
  FinetuneConfig finetune;
  EXPECT_EQ(message_of<ConfigError>([&] { apply_yaml(fields_of(finetune), "optim: {beta1: 0.9}\n", "run.yaml"); }),
            "run.yaml:1: unknown key 'optim'; it is a key of pretrain");
  EXPECT_TRUE(contains(message_of<ConfigError>([&] {
                         apply_sources(fields_of(finetune),
                                       {.files = {}, .overrides = {parse_set_argument("batch_size=8")}});
                       }),
                       "--set batch_size=8: unknown key 'batch_size'; did you mean 'batch_rows'?"));
}

TEST(Resolve, ADuplicateKeyIsRefused) {
  EXPECT_EQ(refusal("seed: 1\nmask:\n  mask_prob: 0.2\nseed: 2\n"), "run.yaml:4: duplicate key 'seed'");
  EXPECT_EQ(refusal("mask:\n  mask_prob: 0.2\nmask:\n  mask_prob: 0.3\n"), "run.yaml:3: duplicate key 'mask'");
}

TEST(Resolve, AWrongTypeIsRefused) {
  EXPECT_EQ(refusal("seed: many\n"),
            "run.yaml:1: seed: 'many' is not a whole number of at least 0, such as 2000000 or 2M");
  EXPECT_EQ(refusal("seed: 1.5\n"),
            "run.yaml:1: seed: '1.5' is not a whole number of at least 0, such as 2000000 or 2M");
  EXPECT_TRUE(contains(refusal("seed:\n"), "run.yaml:1: seed: '' is not a whole number"));
  EXPECT_TRUE(contains(refusal("seed: [1, 2]\n"), "run.yaml:1: seed: a list is not a whole number"));
  EXPECT_TRUE(contains(refusal("seed:\n  deep: 1\n"), "seed: a section is not a whole number"));
  EXPECT_TRUE(contains(refusal("mask: 3\n"), "expected 'key: value' lines below 'mask'"));
  EXPECT_TRUE(contains(refusal("- seed\n"), "run.yaml:1: expected 'key: value' lines"));
  EXPECT_TRUE(contains(refusal("model:\n  unigram_bias: maybe\n"), "'maybe' is not true or false"));
  EXPECT_TRUE(contains(refusal("runtime:\n  precision: fp8\n"), "'fp8' is not one of auto|"));
  EXPECT_TRUE(contains(refusal("budget:\n  time: soon\n"), "'soon' is not a duration such as 90s"));
}

TEST(Resolve, TruthIsReadAsPeopleAndYamlWriteIt) {
  PretrainConfig config;
  const auto read = [&](const std::string& word) {
    apply_yaml(fields_of(config), cat("model: {unigram_bias: ", word, "}\n"), "run.yaml");
    return config.model.unigram_bias;
  };
  for (const char* word : {"true", "True", "TRUE", "yes", "Yes", "on"}) {
    config.model.unigram_bias = false;
    EXPECT_TRUE(read(word)) << word;
  }
  for (const char* word : {"false", "False", "FALSE", "no", "No", "off"}) {
    config.model.unigram_bias = true;
    EXPECT_FALSE(read(word)) << word;
  }
}

TEST(Resolve, AWholeNumberThatIsTooLargeIsToldSo) {
  EXPECT_EQ(refusal("seed: 9223372036854775808\n"),
            "run.yaml:1: seed: '9223372036854775808' is too large: at most 9223372036854775807");
  EXPECT_EQ(refusal("seed: 1e30\n"), "run.yaml:1: seed: '1e30' is too large: at most 9223372036854775807");
  EXPECT_TRUE(contains(refusal("seed: -9223372036854775809\n"), "is not a whole number of at least 0"));
  PretrainConfig config;
  apply_yaml(fields_of(config), "seed: 9223372036854775807\n", "run.yaml");
  EXPECT_EQ(config.seed, 9223372036854775807);
}

TEST(Resolve, AValueOutOfRangeIsRefusedAndTheEndsAreAccepted) {
  EXPECT_EQ(refusal("mask:\n  mask_prob: 0.95\n"),
            "run.yaml:2: mask.mask_prob: '0.95' is not a number from 0.01 to 0.9");
  EXPECT_TRUE(contains(refusal("seed: -1\n"), "of at least 0"));
  EXPECT_TRUE(contains(refusal("optim:\n  learning_rate: 0\n"), "'0' is not a number above 0"));
  PretrainConfig config;
  apply_yaml(fields_of(config), "mask: {mask_prob: 0.9}\nschedule: {warmup_frac: 1, end_frac: 0}\n", "ends");
  EXPECT_EQ(config.mask.mask_prob, 0.9);
  EXPECT_EQ(config.schedule.warmup_frac, 1.0);
}

TEST(Resolve, CountsAreReadAsPeopleWriteThemAndStoredInDigits) {
  PretrainConfig config;
  for (const char* text : {"2300000000", "2.3e9", "2.3B", "2.3G", "2300M", "2300000k"}) {
    config.budget.tokens = 0;
    apply_yaml(fields_of(config), cat("budget: {tokens: ", text, "}\n"), "run.yaml");
    EXPECT_EQ(config.budget.tokens, 2'300'000'000) << text;
  }
  EXPECT_TRUE(contains(dump_yaml(fields_of(config), DumpStyle::kPlain), "  tokens: 2300000000\n"));
  PretrainConfig digits;
  digits.budget.tokens = 2'300'000'000;
  EXPECT_EQ(fingerprint(fields_of(config)), fingerprint(fields_of(digits)));
  TokenizeConfig tokenizer;
  apply_sources(fields_of(tokenizer), {.files = {}, .overrides = {{"vocab_size", {"32k"}, "--vocab-size"}}});
  EXPECT_EQ(tokenizer.vocab_size, 32'000);
  const auto refused = [&](const std::string& word) {
    return message_of<ConfigError>([&] {
      apply_sources(fields_of(tokenizer), {.files = {}, .overrides = {{"vocab_size", {word}, "--vocab-size"}}});
    });
  };
  EXPECT_EQ(refused("fast"), "--vocab-size: 'fast' is not a whole number from 10 to 1,000,000, such as 32000 or 32k");
  EXPECT_EQ(refused("2M"), "--vocab-size: '2M' is not a whole number from 10 to 1,000,000, such as 32000 or 32k");
  EXPECT_TRUE(contains(refusal("batch: {rows: 1.0005k}\n"), "is not a whole number"));
}

TEST(Resolve, AllProblemsOfAllSourcesComeAtOnce) {
  const ScratchDirectory scratch;
  const auto first = scratch.write("first.yaml", "sede: 1\nmask:\n  mask_prob: 7\n");
  const auto second = scratch.write("second.yaml", "log_every_steps: 0\n");
  PretrainConfig config;
  const std::string message = message_of<ConfigError>([&] {
    apply_sources(
        fields_of(config),
        {.files = {first, second}, .overrides = {parse_set_argument("seed=x"), parse_set_argument("modle.heads=2")}});
  });
  EXPECT_TRUE(contains(message, first.string() + ":1: unknown key 'sede'"));
  EXPECT_TRUE(contains(message, first.string() + ":3: mask.mask_prob"));
  EXPECT_TRUE(contains(message, second.string() + ":1: log_every_steps"));
  EXPECT_TRUE(contains(message, "--set seed=x: "));
  EXPECT_TRUE(contains(message, "unknown key 'modle.heads'; did you mean 'model.heads'?"));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 4);
}

TEST(Resolve, LaterFilesAndThenOverridesWin) {
  const ScratchDirectory scratch;
  const auto first = scratch.write("first.yaml", "seed: 1\nlog_every_steps: 11\nbatch: {rows: 64}\n");
  const auto second = scratch.write("second.yaml", "seed: 2\nlog_every_steps: 22\n");
  PretrainConfig config;
  apply_sources(fields_of(config),
                {.files = {first, second}, .overrides = {parse_set_argument("seed=3"), parse_set_argument("seed=4")}});
  EXPECT_EQ(config.seed, 4);
  EXPECT_EQ(config.log_every_steps, 22);
  EXPECT_EQ(config.batch.rows, 64);
  EXPECT_EQ(config.batch.micro_rows, BatchConfig{}.micro_rows);
}

TEST(Resolve, InvalidYamlNamesItsLine) {
  EXPECT_TRUE(contains(refusal("seed: 1\nmask: [1, 2\n"), "not valid YAML"));
  EXPECT_TRUE(contains(refusal("seed: 1\n  mask: 2: 3\n"), "run.yaml:2: not valid YAML"));
  EXPECT_TRUE(contains(refusal(",seed: 1\n"), "run.yaml:1: not valid YAML")) << "yaml-cpp never ends at it";
}

TEST(Resolve, ATabThatIndentsIsNamed) {
  for (const char* yaml : {"mask:\n\tmask_prob: 0.2\n", "seed: 1\nmask:\n  mask_prob: 0.2\n\tend_mask_prob: 0.1\n",
                           "mask:\n  mask_prob: 0.2\n \tend_mask_prob: 0.1\n"}) {
    EXPECT_TRUE(contains(refusal(yaml), "; indent with spaces, not tabs")) << yaml;
  }
  EXPECT_FALSE(contains(refusal("seed: 1\n  mask:\t2: 3\n"), "tabs")) << "it indents nothing";
}

TEST(Resolve, OddShapesOfYamlAreRefusedNotFatal) {
  for (const char* yaml :
       {"? [a, b]\n: 1\n", "{a: b}: 1\n", "seed: {[1]: 2}\n", "data: [[1], {a: b}]\n", "? {x: y}\n"}) {
    PretrainConfig config;
    EXPECT_THROW(apply_yaml(fields_of(config), yaml, "odd.yaml"), ConfigError) << yaml;
  }
  PackConfig pack;
  EXPECT_THROW(apply_yaml(fields_of(pack), "input: [[a], {b: c}]\n", "odd.yaml"), ConfigError);
}

TEST(Resolve, ValuesOfTheWrongShapeAreProblemsBesideTheOthers) {
  PackConfig config;
  const std::string message = message_of<ConfigError>([&] {
    apply_yaml(fields_of(config), "seq_len: 128\ninput:\n  - a.txt\n  - {b: c}\n? [d, e]\n: 1\nthreadz: 1\n",
               "odd.yaml");
  });
  EXPECT_TRUE(contains(message, "odd.yaml:4: input: a section is not an item of a list")) << message;
  EXPECT_TRUE(contains(message, "odd.yaml:5: expected a word before ':'")) << message;
  EXPECT_TRUE(contains(message, "odd.yaml:7: unknown key 'threadz'; did you mean 'threads'?")) << message;
  EXPECT_FALSE(contains(message, "not valid YAML")) << message;
  EXPECT_TRUE(contains(refusal("data: [[1]]\n"), "run.yaml:1: data: a list is not text"));
}

TEST(Resolve, EmptyYamlChangesNothing) {
  for (const char* yaml : {"", "# only a comment\n", "mask:\n", "---\n"}) {
    PretrainConfig config;
    EXPECT_NO_THROW(apply_yaml(fields_of(config), yaml, "empty.yaml")) << yaml;
    PretrainConfig untouched;
    EXPECT_EQ(texts_of(fields_of(config)), texts_of(fields_of(untouched)));
  }
}

TEST(Resolve, AMissingFileIsADataError) {
  PretrainConfig config;
  EXPECT_THROW(apply_sources(fields_of(config), {.files = {"/nowhere/run.yaml"}, .overrides = {}}), DataError);
}

TEST(Resolve, ListsComeFromYamlAndFromCommas) {
  PackConfig config;
  apply_yaml(fields_of(config), "input: [a b.txt, c.txt]\n", "pack.yaml");
  EXPECT_EQ(config.input, (std::vector<std::string>{"a b.txt", "c.txt"}));
  apply_sources(fields_of(config), {.files = {}, .overrides = {parse_set_argument("input=x, y")}});
  EXPECT_EQ(config.input, (std::vector<std::string>{"x", "y"}));
  // A flag's values are taken as they are: a file name may hold a comma.
  apply_sources(fields_of(config), {.files = {}, .overrides = {{"input", {"p,q"}, "--input"}}});
  EXPECT_EQ(config.input, (std::vector<std::string>{"p,q"}));
}

TEST(Resolve, ASetArgumentNeedsAnEqualsSign) {
  EXPECT_THROW(parse_set_argument("seed"), ConfigError);
  EXPECT_THROW(parse_set_argument("=1"), ConfigError);
  EXPECT_EQ(parse_set_argument("data=a=b").values, (std::vector<std::string>{"a=b"}));
}

TEST(Resolve, FindsAConfigByPathOrByName) {
  const ScratchDirectory scratch;
  const auto file = scratch.write("configs/base.yaml", "");
  const std::vector<std::filesystem::path> folders = {scratch / "configs"};
  EXPECT_EQ(find_config(file.string(), {}), file);
  EXPECT_EQ(find_config("base", folders), file);
  EXPECT_EQ(find_config("base.yaml", folders), file);
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { find_config("other", folders); }), "base.yaml"));
  EXPECT_TRUE(
      contains(message_of<ConfigError>([&] { find_config((scratch / "configs").string(), {}); }), "no such file"));
}

TEST(Resolve, AFolderOfTheNameOfAConfigIsNoConfig) {
  const ScratchDirectory scratch;
  const auto file = scratch.write("configs/mini.yaml", "");
  std::filesystem::create_directory(scratch / "mini");
  const WorkingDirectory inside(scratch / ".");
  EXPECT_EQ(find_config("mini", {scratch / "configs"}), file);
}

}  // namespace
}  // namespace bertcram::config
