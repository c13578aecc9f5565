// Source lists: which files, how much of each, and that neither threads nor the order of files change the choice.

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/data/tokenizer_training.h"
#include "data/document_sink.h"
#include "data/packing_support.h"
#include "data/reading_support.h"

namespace bertcram::data {
namespace {

using nlohmann::json;
using test::contains;
using test::message_of;
using test::ScratchDirectory;
using Strings = std::vector<std::string>;

class SourceList : public ::testing::Test {
 protected:
  /// A list beside the files that it names. @param name  among several lists of a test
  std::string list(const std::string& yaml, const std::string& name = "list.yaml") const {
    return scratch_.write(name, yaml).string();
  }
  std::string text(const std::string& name, const Strings& documents) const {
    return scratch_.write(name, test::joined(documents)).string();
  }
  test::ReadResult read(const Strings& words, const ReaderOptions& options = {}) const {
    DocumentReader reader(resolve_inputs(words, options.input, scratch_ / "output"), options);
    return test::read_documents(reader);
  }
  Strings documents(const std::string& yaml, const ReaderOptions& options = {}) const {
    return read({list(yaml)}, options).documents;
  }
  std::string refusal(const std::string& yaml) const {
    return message_of<ConfigError>([&] { documents(yaml); });
  }

  const ScratchDirectory scratch_;
};
class SourceListProperty : public SourceList {};

TEST_F(SourceList, NamesFilesFoldersAndPatternsFromItsOwnFolder) {
  text("wiki/b.txt", {"b\n"});
  text("wiki/a.txt", {"a\n"});
  text("books/c.txt", {"c\n"});
  text("books/d.log", {"d\n"});
  text("odd, name.txt", {"e\n"});
  EXPECT_EQ(documents("sources:\n  - path: [books/*.txt, wiki]\n  - path: \"odd, name.txt\"\n"),
            (Strings{"c\n", "a\n", "b\n", "e\n"}));
}

TEST_F(SourceList, SaysHowEachSourceIsRead) {
  scratch_.write("lines.txt", "one\ntwo\n");
  scratch_.write("blocks.txt", "three\nfour\n");
  scratch_.write("some.jsonl", R"({"body": "five"})");
  EXPECT_EQ(documents("# a mixture\n\nsources:\n  - {path: lines.txt, format: lines}\n  - path: blocks.txt\n"
                      "  - path: some.jsonl\n    text_field: body\n"),
            (Strings{"one\n", "two\n", "three\nfour\n", "five\n"}));
  EXPECT_EQ(documents("sources:\n  - path: lines.txt\n", {.input = {.format = config::TextFormat::kLines}}),
            (Strings{"one\n", "two\n"}));
}

TEST_F(SourceList, MayStandBesideOtherInputs) {
  const std::string one = text("one.txt", {"one\n"});
  text("two.txt", {"two\n"});
  EXPECT_EQ(read({one, list("sources:\n  - path: two.txt\n", "list.yml")}).documents, (Strings{"one\n", "two\n"}));
}

TEST_F(SourceList, OtherYamlIsText) {
  EXPECT_EQ(documents("name: value\n"), Strings{"name: value\n"});
  EXPECT_EQ(read({scratch_.write("list.txt", "sources:\n").string()}).documents, Strings{"sources:\n"});
  EXPECT_EQ(documents("sources of the Nile\n"), Strings{"sources of the Nile\n"});
}

TEST_F(SourceList, AnyOtherKeyBeforeSourcesIsAMistakeInAList) {
  text("a.txt", {"a\n"});
  const std::string sources = "sources:\n  - path: a.txt\n";
  EXPECT_TRUE(
      contains(refusal("foo: 1\n" + sources), "list.yaml:1: unknown key 'foo'; a source list has 'sources' only"));
  EXPECT_TRUE(contains(refusal("weights: {a: 1}\nnames: [b]\n" + sources), "list.yaml:2: unknown key 'names'"));
  EXPECT_TRUE(contains(refusal("{foo: 1, sources: [{path: a.txt}]}\n"), "unknown key 'foo'"));
  EXPECT_EQ(documents("\"sources\":\n  - path: a.txt\n"), Strings{"a\n"});
  for (const char* other : {"foo:\n  sources:\n    - path: a.txt\n", "- sources\n", "name: sources: many\nsources: [\n",
                            "name: the sources\n"}) {
    EXPECT_EQ(documents(other), Strings{other});
  }
}

TEST_F(SourceList, MistakesAreReportedAllAtOnceWithTheirLines) {
  text("a.txt", {"a\n"});
  const std::string message = refusal(
      "sources:\n  - path: a.txt\n    wieght: 0.5\n  - weight: 2\n  - path: a.txt\n    weight: 0\n    max_documents: "
      "many\n"
      "    format: csv\n    format: lines\n");
  EXPECT_TRUE(contains(message, "list.yaml:3: unknown key 'wieght'; did you mean 'weight'?"));
  EXPECT_TRUE(contains(message, "list.yaml:4: the key 'path' is missing"));
  EXPECT_TRUE(contains(message, "list.yaml:6: weight: '0' is not a number from 0.000001 to 1,000"));
  EXPECT_TRUE(contains(message, "list.yaml:7: max_documents: 'many' is not a whole number of at least 1"));
  EXPECT_TRUE(contains(message, "list.yaml:8: format: 'csv' is not one of auto|blocks|lines|jsonl"));
  EXPECT_TRUE(contains(message, "list.yaml:9: duplicate key 'format'"));
  EXPECT_TRUE(contains(refusal("soruces:\n  - path: a.txt\n"), "list.yaml:1: unknown key 'soruces'; did you mean"));
  EXPECT_TRUE(contains(refusal("sources:\n  - path: a.txt\nseed: 1\n"), "list.yaml:3: unknown key 'seed'"));
  EXPECT_TRUE(contains(refusal("sources:\n  - path: a.txt\nsources:\n  - path: a.txt\n"),
                       "list.yaml:3: duplicate key 'sources'"));
  EXPECT_TRUE(
      contains(refusal("sources:\n  - path: a.txt\n? [a]\n: 1\nsuorces: 2\n"), "list.yaml:5: unknown key 'suorces'"));
  EXPECT_TRUE(contains(refusal("sources: a.txt\n"), "list.yaml:1: 'sources' must be a list"));
  EXPECT_TRUE(contains(refusal("sources: []\n"), "list.yaml:1: 'sources' must be a list"));
  EXPECT_TRUE(contains(refusal("sources:\n  - a.txt\n"), "list.yaml:2: expected 'key: value' lines"));
  EXPECT_TRUE(contains(refusal("sources:\n  - path: [a.txt\n"), "not valid YAML"));
  EXPECT_TRUE(contains(refusal("sources:\n  - path: a.txt\n---\nsources: []\n"), "list.yaml:3: a second document"));
  list("sources:\n  - path: a.txt\n", "other.yaml");
  EXPECT_TRUE(contains(refusal("sources:\n  - path: other.yaml\n"), "lists do not nest"));
  const std::string missing = message_of<DataError>([&] { documents("sources:\n  - path: none/*.txt\n"); });
  EXPECT_TRUE(contains(missing, "list.yaml: ") && contains(missing, "none/*.txt: no such file"));
}

TEST_F(SourceList, LimitsTakeTheFirstDocumentsOfASource) {
  text("a/1.txt", {"one\n", "two\n"});
  text("a/2.txt", {"three\n", "four\n"});
  text("a/3.txt", {"five\n"});
  text("b.txt", {"six\n"});
  const std::string tail = "  - path: b.txt\n";
  for (const size_t batch_bytes : {size_t{1}, size_t{1} << 20}) {
    const ReaderOptions options = {.batch_bytes = batch_bytes};
    EXPECT_EQ(documents("sources:\n  - {path: a, max_documents: 3}\n" + tail, options),
              (Strings{"one\n", "two\n", "three\n", "six\n"}));
    EXPECT_EQ(documents("sources:\n  - {path: a, max_bytes: 8}\n" + tail, options),
              (Strings{"one\n", "two\n", "six\n"}));
    EXPECT_EQ(documents("sources:\n  - {path: a, max_bytes: 13}\n" + tail, options),
              (Strings{"one\n", "two\n", "six\n"}));  // the third would pass it, so nothing behind it is taken either
    EXPECT_EQ(documents("sources:\n  - {path: a, max_bytes: 3}\n" + tail, options), Strings{"six\n"});
    EXPECT_EQ(documents("sources:\n  - {path: a, max_documents: 99}\n" + tail, options).size(), 6U);
  }
}

TEST_F(SourceList, WhatALimitLeavesUnreadIsSaidFileByFile) {
  text("a/1.txt", {"one\n", "two\n"});
  text("a/2.txt", {"three\n"});
  const auto result = read({list("sources:\n  - {path: a, max_documents: 2}\n")});
  ASSERT_EQ(result.summaries.size(), 2U);
  EXPECT_EQ(result.summaries[0].documents, 2);
  EXPECT_TRUE(result.summaries[0].is_complete);
  EXPECT_EQ(result.summaries[1].documents, 0);
  EXPECT_FALSE(result.summaries[1].is_complete);
}

TEST_F(SourceListProperty, AWeightBelowOneKeepsAboutThatShareWhateverTheOrder) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  const Strings all = test::random_documents(seed, 4000);
  text("a.txt", {all.begin(), all.begin() + 1500});
  text("b.txt", {all.begin() + 1500, all.end()});
  const auto chosen = [&](const std::string& paths, const std::string& weight, uint64_t choice) {
    const Strings kept = documents("sources:\n  - {path: [" + paths + "], weight: " + weight + "}\n",
                                   {.batch_bytes = 999, .seed = choice});
    return std::multiset<std::string>(kept.begin(), kept.end());
  };
  const auto quarter = chosen("a.txt, b.txt", "0.25", 0);
  EXPECT_NEAR(static_cast<double>(quarter.size()), 1000.0, 110.0);  // 4 standard deviations of 27
  EXPECT_EQ(chosen("b.txt, a.txt", "0.25", 0), quarter);
  EXPECT_NE(chosen("a.txt, b.txt", "0.25", 1), quarter);
  const auto half = chosen("a.txt, b.txt", "0.5", 0);
  EXPECT_TRUE(std::ranges::includes(half, quarter));
}

TEST(CopiesOf, RoundsTheWeightUpOrDownByTheText) {
  EXPECT_EQ(copies_of("some text", 1.0, 0), 1);
  EXPECT_EQ(copies_of("some text", 3.0, 0), 3);
  int64_t copies = 0;
  for (int i = 0; i < 4000; ++i) {
    const int64_t one = copies_of(cat("text ", i), 2.25, 7);
    EXPECT_TRUE(one == 2 || one == 3);
    EXPECT_EQ(one - 2, copies_of(cat("text ", i), 0.25, 7));
    copies += one;
  }
  EXPECT_NEAR(static_cast<double>(copies), 9000.0, 110.0);
}

TEST_F(SourceList, AFileThatIsReachedTwiceIsReadOnce) {
  const std::string a = text("wiki/a.txt", {"one\n"});
  const std::string folder = (scratch_ / "wiki").string();
  std::filesystem::create_symlink("a.txt", scratch_ / "wiki/z.txt");
  const Strings once = {"one\n"};
  EXPECT_EQ(read({a, a}).documents, once);
  EXPECT_EQ(read({folder, folder + "/*.txt", folder + "/../wiki/a.txt"}).documents, once);
  const auto result = read({list("sources:\n  - {path: wiki, max_documents: 7}\n  - path: wiki/a.txt\n"), a});
  EXPECT_EQ(result.documents, once);
  ASSERT_EQ(result.summaries.size(), 1U);
  EXPECT_EQ(result.summaries[0].rules.max_documents, 7);
}

TEST_F(SourceList, AFileInAFolderThatCannotBeReadIsNamed) {
  const std::string a = text("wiki/a.txt", {"one\n"});
  std::filesystem::permissions(a, std::filesystem::perms::none);
  const test::OrdinaryUser user(scratch_);
  EXPECT_TRUE(contains(message_of<DataError>([&] { read({(scratch_ / "wiki").string()}); }), a));
}

TEST_F(SourceList, AFolderThatCannotBeReadIsNoMissingMatch) {
  text("wiki/a.txt", {"one\n"});
  text("books/b.txt", {"two\n"});
  std::filesystem::permissions(scratch_ / "books", std::filesystem::perms::none);
  const std::string pattern = (scratch_ / "*/*.txt").string();
  {
    const test::OrdinaryUser user(scratch_);
    EXPECT_TRUE(contains(message_of<DataError>([&] { read({pattern}); }), "cannot be read (permission denied)"));
  }
  std::filesystem::permissions(scratch_ / "books", std::filesystem::perms::owner_all);
  EXPECT_EQ(read({pattern}).documents.size(), 2U);
}

TEST_F(SourceList, ALinkedFolderIsReadToo) {
  text("wiki/a.txt", {"one\n"});
  text("elsewhere/b.txt", {"two\n"});
  std::filesystem::create_directory_symlink(scratch_ / "elsewhere", scratch_ / "wiki/more");
  EXPECT_EQ(read({(scratch_ / "wiki").string()}).documents, (Strings{"one\n", "two\n"}));
}

TEST_F(SourceList, AListInTheFolderThatItNamesIsNoText) {
  text("a.txt", {"one\n"});
  EXPECT_EQ(documents("sources:\n  - path: .\n"), (Strings{"one\n"}));
}

TEST_F(SourceList, ALinkToNothingInAFolderIsNamed) {
  text("wiki/a.txt", {"one\n"});
  std::filesystem::create_symlink("gone.txt", scratch_ / "wiki/b.txt");
  EXPECT_TRUE(contains(message_of<DataError>([&] { read({(scratch_ / "wiki").string()}); }), "wiki/b.txt"));
}

/// Packing with lists: rows come out of it as out of the same texts given plainly.
class PackedSourceList : public SourceList {
 protected:
  PackedSourceList() {
    config_.seq_len = 16;
    config_.valid_frac = 0.1;
  }

  PackCounts pack(const std::string& name, const Strings& input, int64_t threads = 2) {
    config_.output = (scratch_ / name).string();
    config_.input = input;
    config_.threads = threads;
    return test::pack(config_);
  }
  std::string shard(const std::string& name, const char* split = "train") const {
    return test::read_bytes(scratch_ / name / cat(split, "-00000.bin"));
  }
  json manifest(const std::string& name) const {
    return json::parse(test::read_bytes(scratch_ / name / "manifest.json"));
  }

  config::PackConfig config_;
};

TEST_F(PackedSourceList, AListThatSaysNothingElseGivesTheRowsOfItsFiles) {
  const std::string a = text("a.txt", test::random_documents(1, 300));
  const std::string b = text("b.txt", test::random_documents(2, 300));
  pack("plain", {a, b});
  pack("list", {list("sources:\n  - path: b.txt\n    weight: 1\n  - path: a.txt\n")});
  EXPECT_EQ(shard("plain"), shard("list"));
  EXPECT_EQ(shard("plain", "valid"), shard("list", "valid"));
}

TEST_F(PackedSourceList, RepeatsSurviveDeduplicationAtPlacesOfTheirOwnAndOnlyInTraining) {
  const Strings documents = test::random_documents(3, 400);
  const std::string a = text("a.txt", documents);
  text("doubled.txt", documents);
  const auto plain = pack("plain", {a});
  const std::string thrice = list("sources:\n  - {path: a.txt, weight: 3}\n  - path: doubled.txt\n");
  const auto counts = pack("thrice", {thrice});
  EXPECT_EQ(counts.documents_read, 800);
  EXPECT_EQ(counts.documents_duplicate, 400 + plain.documents_duplicate);
  EXPECT_EQ(counts.documents_train, 3 * plain.documents_train);
  EXPECT_EQ(counts.documents_repeated, 2 * plain.documents_train);
  EXPECT_EQ(counts.documents_valid, plain.documents_valid);
  EXPECT_EQ(shard("plain", "valid"), shard("thrice", "valid"));
  pack("by-one", {thrice}, 1);
  EXPECT_EQ(shard("by-one"), shard("thrice"));
}

TEST_F(PackedSourceList, CopiesAreSpreadOverTheRows) {
  config_.valid_frac = 0;
  config_.seq_len = 8;
  util::RandomStream random(4);
  Strings documents(2000);
  std::ranges::generate(documents, [&] { return test::random_words(random, 12, 25) + "\n"; });  // without a z
  text("a.txt", documents);
  scratch_.write("rare.txt", "zz zz zz zz zz zz\n");
  pack("packed", {list("sources:\n  - path: a.txt\n  - {path: rare.txt, weight: 20}\n")});
  const PackedManifest stored = read_packed_manifest(scratch_ / "packed");
  const RowStore rows(scratch_ / "packed", stored.train_shards, stored);
  constexpr int32_t kLetterZ = 5 + 2 * 25;
  std::set<int64_t> tenths;
  std::vector<int32_t> ids(8);
  for (int64_t row = 0; row < rows.rows(); ++row) {
    rows.read_row(row, ids);
    if (std::ranges::find(ids, kLetterZ) != ids.end()) {
      tenths.insert(10 * row / rows.rows());
    }
  }
  EXPECT_GE(tenths.size(), 6U);  // 20 copies in 10 tenths: 8.8 expected
}

TEST_F(PackedSourceList, RepeatsSurviveTheOtherRulesAgainstDuplicates) {
  const Strings documents = test::random_documents(5, 300);
  const std::string a = text("a.txt", documents);
  config_.filters.near_duplicates = 0.9;
  config_.filters.duplicate_paragraphs = true;
  const auto plain = pack("plain", {a});
  const auto twice = pack("twice", {list("sources:\n  - {path: a.txt, weight: 2}\n")});
  EXPECT_EQ(twice.documents_near_duplicate, plain.documents_near_duplicate);
  EXPECT_EQ(twice.documents_duplicate, plain.documents_duplicate);
  EXPECT_EQ(twice.documents_train, 2 * plain.documents_train);
}

TEST_F(PackedSourceList, TheManifestSaysWhatTheListSaid) {
  text("a.txt", test::random_documents(6, 400));
  text("b.txt", test::random_documents(7, 400));
  const auto counts =
      pack("packed", {list("sources:\n  - {path: a.txt, weight: 0.5}\n  - {path: b.txt, max_documents: 100}\n")});
  const json sources = manifest("packed").at("sources");
  EXPECT_EQ(sources[0].at("weight"), 0.5);
  EXPECT_EQ(sources[0].at("documents_left_out"), counts.documents_left_out);
  EXPECT_EQ(sources[0].at("documents"), 400 - counts.documents_left_out);
  EXPECT_FALSE(sources[0].contains("max_documents"));
  EXPECT_EQ(sources[1].at("max_documents"), 100);
  EXPECT_EQ(sources[1].at("documents"), 100);
  EXPECT_FALSE(sources[1].contains("weight"));
  EXPECT_EQ(counts.documents_read, 500);
}

TEST_F(PackedSourceList, TheSameListAgainDoesNothingAndAnotherOneIsAnotherRequest) {
  text("a.txt", test::random_documents(8, 400));
  text("b.txt", test::random_documents(9, 400));
  const std::string yaml = "sources:\n  - {path: a.txt, max_documents: 300}\n  - path: b.txt\n";
  const auto first = pack("packed", {list(yaml)});
  const auto written = std::filesystem::last_write_time(scratch_ / "packed/manifest.json");
  EXPECT_EQ(pack("packed", {list("# said otherwise\n" + yaml)}).tokens, first.tokens);
  EXPECT_EQ(std::filesystem::last_write_time(scratch_ / "packed/manifest.json"), written);
  for (const char* other : {"  - {path: a.txt, max_documents: 299}\n  - path: b.txt\n",
                            "  - {path: a.txt}\n  - {path: b.txt, max_documents: 300}\n",
                            "  - {path: a.txt, max_documents: 300, weight: 2}\n  - path: b.txt\n"}) {
    EXPECT_THROW(pack("packed", {list(cat("sources:\n", other))}), ConfigError) << other;
  }
}

TEST_F(PackedSourceList, WhatALimitLeavesUnreadMayChange) {
  Strings documents = test::random_documents(10, 60'000);  // more than is read at once
  const std::string a = text("a.txt", documents);
  const std::string input = list("sources:\n  - {path: a.txt, max_documents: 300}\n");
  const auto first = pack("packed", {input});
  documents.back() = "another end\n";
  text("a.txt", documents);
  EXPECT_EQ(pack("packed", {input}).tokens, first.tokens);
  documents.front() = "another beginning\n";
  text("a.txt", documents);
  EXPECT_THROW(pack("packed", {input}), ConfigError);
}

TEST_F(SourceList, ATokenizerCountsADocumentAsOftenAsItIsWanted) {
  text("a.txt", {"one two two\n"});
  config::TokenizeConfig config;
  config.vocab_size = 14;
  config.min_frequency = 1;
  config.output = (scratch_ / "tokenizer").string();
  config.input = {list("sources:\n  - {path: a.txt, weight: 5}\n")};
  const util::StopFlag stop;
  const TokenizeContext context = {.stop = stop, .progress = util::ProgressStyle::kQuiet};
  EXPECT_EQ(run_tokenize(config, context).words, 15);
  EXPECT_EQ(run_tokenize(config, context).words, 15);
  config.input = {list("sources:\n  - {path: a.txt, weight: 4}\n")};
  EXPECT_THROW(run_tokenize(config, context), ConfigError);
}

}  // namespace
}  // namespace bertcram::data
