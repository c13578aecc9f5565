// Packing: every document once, in an order that only content and seed decide, and a folder that is whole or absent.

#include "bertcram/data/packer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "bertcram/data/packed_dataset.h"
#include "data/packing_support.h"
#include "data/row_packer.h"

namespace bertcram::data {
namespace {

using config::PackConfig;
using test::contains;
using test::message_of;
using test::pack;
using test::random_documents;
using test::ScratchDirectory;
using Ids = std::vector<int32_t>;

constexpr int32_t kCls = 2;
constexpr int32_t kSep = 3;

PackConfig config_for(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& output) {
  PackConfig config;
  for (const auto& input : inputs) {
    config.input.push_back(input.string());
  }
  config.output = output.string();
  config.seq_len = 16;
  config.valid_frac = 0.2;
  config.shard_rows = 40;
  config.threads = 1;
  return config;
}

/// Names and bytes of the folder's files, without lock and tokenizer.
std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename() != ".lock") {
      files[entry.path().filename().string()] = test::read_bytes(entry.path());
    }
  }
  return files;
}

/// All rows of a split behind each other, without the [CLS] that must stand first in each.
Ids stream_of(const std::filesystem::path& folder, const std::vector<ShardEntry>& shards) {
  const PackedManifest manifest = read_packed_manifest(folder);
  const RowStore rows(folder, shards, manifest);
  Ids stream;
  Ids row(static_cast<size_t>(manifest.seq_len));
  for (int64_t i = 0; i < rows.rows(); ++i) {
    rows.read_row(i, row);
    EXPECT_EQ(row[0], kCls);
    stream.insert(stream.end(), row.begin() + 1, row.end());
  }
  return stream;
}

Ids train_stream(const std::filesystem::path& folder) {
  return stream_of(folder, read_packed_manifest(folder).train_shards);
}

Ids valid_stream(const std::filesystem::path& folder) {
  return stream_of(folder, read_packed_manifest(folder).valid_shards);
}

/// The stream cut at [SEP]; what follows the last one is a document whose end was dropped.
std::vector<Ids> documents_in(const Ids& stream) {
  std::vector<Ids> documents(1);
  for (const int32_t id : stream) {
    if (id == kSep) {
      documents.emplace_back();
    } else {
      documents.back().push_back(id);
    }
  }
  return documents;
}

Ids encoded(const std::string& text) {
  Ids ids;
  test::tiny_tokenizer().encode(text, ids);
  return ids;
}

TEST(PackerProperty, ThreadsAndFileOrderMakeNoDifference) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  const ScratchDirectory scratch;
  const auto a = scratch.write("a.txt", test::joined(random_documents(seed, 300)));
  const auto b = scratch.write("b.txt", test::joined(random_documents(seed + 1, 200)));
  auto config = config_for({a, b}, scratch / "threads1");
  pack(config);
  const auto expected = files_of(scratch / "threads1");
  EXPECT_GT(expected.size(), 6U);  // several shards of both splits
  for (const int64_t threads : {2, 4}) {
    config.threads = threads;
    config.output = (scratch / cat("threads", threads)).string();
    pack(config);
    EXPECT_TRUE(files_of(config.output) == expected) << threads << " threads";
  }
  auto turned = config_for({b, a}, scratch / "turned");
  pack(turned);
  auto files = files_of(turned.output);
  auto wanted = expected;
  files.erase("manifest.json");  // names the sources in their order
  wanted.erase("manifest.json");
  EXPECT_TRUE(files == wanted);
}

TEST(Packer, ACurriculumIsReadAsItIsStored) {
  const ScratchDirectory scratch;
  auto config = config_for({scratch.write("text", test::joined(random_documents(1, 200)))}, scratch / "packed");
  pack(config);
  EXPECT_EQ(read_packed_manifest(config.output).train_order, RowOrder::kShuffled);
  config.order = config::DocumentOrder::kCurriculum;
  config.output = (scratch / "curriculum").string();
  pack(config);
  EXPECT_EQ(read_packed_manifest(config.output).train_order, RowOrder::kStored);
}

TEST(PackerProperty, RowsHoldEveryDocumentOnceWithClsFirstAndSepBehind) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  const ScratchDirectory scratch;
  const auto documents = random_documents(seed, 400);
  const auto config = config_for({scratch.write("text", test::joined(documents))}, scratch / "packed");
  const PackCounts counts = pack(config);
  std::multiset<Ids> wanted;
  int64_t tokens = 0;
  for (const std::string& document : documents) {
    wanted.insert(encoded(document));
    tokens += static_cast<int64_t>(encoded(document).size());
  }
  EXPECT_EQ(counts.documents_read, 400);
  EXPECT_EQ(counts.documents_duplicate, 0);
  EXPECT_EQ(counts.documents_train + counts.documents_valid, 400);
  EXPECT_EQ(counts.tokens, tokens);
  EXPECT_NEAR(static_cast<double>(counts.documents_valid), 80, 50);
  size_t complete = 0;
  for (const Ids& stream : {train_stream(config.output), valid_stream(config.output)}) {
    auto found = documents_in(stream);
    const Ids rest = found.back();
    found.pop_back();
    complete += found.size();
    for (const Ids& document : found) {
      const auto match = wanted.find(document);
      ASSERT_NE(match, wanted.end());
      wanted.erase(match);
    }
    const bool starts_one = std::any_of(wanted.begin(), wanted.end(), [&](const Ids& document) {
      return document.size() >= rest.size() && std::equal(rest.begin(), rest.end(), document.begin());
    });
    EXPECT_TRUE(rest.empty() || starts_one);
  }
  // Only what the last, incomplete row of each split would have held is missing.
  EXPECT_LE(400 - complete, 8U);
  const auto rows_of = [](size_t stream_tokens) { return static_cast<int64_t>(stream_tokens) / 15; };
  EXPECT_EQ(counts.train_rows, rows_of(train_stream(config.output).size()));
  EXPECT_EQ(counts.valid_rows, rows_of(valid_stream(config.output).size()));
}

TEST(Packer, TheSeedDecidesTheOrderButNotTheContent) {
  const ScratchDirectory scratch;
  const auto text = scratch.write("text", test::joined(random_documents(5, 200)));
  auto config = config_for({text}, scratch / "seed0");
  config.valid_frac = 0;
  pack(config);
  const auto first = documents_in(train_stream(config.output));
  config.seed = 1;
  config.output = (scratch / "seed1").string();
  pack(config);
  auto second = documents_in(train_stream(config.output));
  EXPECT_NE(first, second);
  const std::set<Ids> known(first.begin(), first.end());
  second.resize(second.size() - 5);  // the ends of the two streams are cut elsewhere
  int64_t unknown = 0;
  for (const Ids& document : second) {
    unknown += known.contains(document) ? 0 : 1;
  }
  EXPECT_LE(unknown, 5);
}

TEST(Packer, DropsDuplicatesWhereverTheyStand) {
  const ScratchDirectory scratch;
  const auto documents = random_documents(6, 50);
  const auto a = scratch.write("a", test::joined(documents));
  std::string repeated = test::joined(documents);
  repeated.resize(repeated.size() - 2);  // the last document ends without a line end
  const auto b = scratch.write("b", repeated);
  auto config = config_for({a, b}, scratch / "packed");
  PackCounts counts = pack(config);
  EXPECT_EQ(counts.documents_read, 100);
  EXPECT_EQ(counts.documents_duplicate, 50);
  EXPECT_EQ(counts.documents_train + counts.documents_valid, 50);
  config.dedup = config::Dedup::kNone;
  config.output = (scratch / "all").string();
  counts = pack(config);
  EXPECT_EQ(counts.documents_duplicate, 0);
  EXPECT_EQ(counts.documents_train + counts.documents_valid, 100);
}

TEST(Packer, DropsShortDocuments) {
  const ScratchDirectory scratch;
  auto config = config_for({scratch.write("text", test::joined(random_documents(6, 60)) + "ab\n\nabcdefghi\n")},
                           scratch / "packed");
  config.filters.min_chars = 4;
  EXPECT_EQ(pack(config).documents_short, 1);
}

// A held-out document stays held out when the corpus grows: otherwise scores of two runs could not be compared.
TEST(Packer, TheSplitOfADocumentDoesNotDependOnTheOthers) {
  const ScratchDirectory scratch;
  const auto few = random_documents(7, 150);
  auto many = few;
  for (const std::string& document : random_documents(8, 300)) {
    many.push_back(document);
  }
  pack(config_for({scratch.write("few", test::joined(few))}, scratch / "packed-few"));
  pack(config_for({scratch.write("many", test::joined(many))}, scratch / "packed-many"));
  auto held_out = documents_in(valid_stream(scratch / "packed-few"));
  held_out.pop_back();
  const auto trained = documents_in(train_stream(scratch / "packed-many"));
  const std::set<Ids> trained_on(trained.begin(), trained.end());
  ASSERT_GT(held_out.size(), 10U);
  for (const Ids& document : held_out) {
    EXPECT_FALSE(trained_on.contains(document));
  }
}

TEST(Packer, TokenCountsAreThoseOfTheTrainingDocuments) {
  const ScratchDirectory scratch;
  auto config = config_for({scratch.write("text", test::joined(random_documents(9, 300)))}, scratch / "packed");
  PackCounts counts = pack(config);
  const auto counted = read_token_counts(config.output, read_packed_manifest(config.output));
  std::vector<uint64_t> seen(counted.size());
  const Ids trained = train_stream(config.output);
  for (const int32_t id : trained) {
    seen[static_cast<size_t>(id)] += id == kSep ? 0 : 1;
  }
  const uint64_t sum = std::accumulate(counted.begin(), counted.end(), uint64_t{0});
  const uint64_t kept = std::accumulate(seen.begin(), seen.end(), uint64_t{0});
  EXPECT_LE(sum - kept, 15U);  // the dropped last row
  for (size_t id = 0; id < seen.size(); ++id) {
    EXPECT_GE(counted[id], seen[id]);
  }
  config.valid_frac = 0;
  config.output = (scratch / "all").string();
  counts = pack(config);
  const auto all = read_token_counts(config.output, read_packed_manifest(config.output));
  EXPECT_EQ(std::accumulate(all.begin(), all.end(), uint64_t{0}), static_cast<uint64_t>(counts.tokens));
  EXPECT_DOUBLE_EQ(counts.unigram_entropy, entropy_nats(all));
}

TEST(Packer, ASecondIdenticalRunDoesNothing) {
  const ScratchDirectory scratch;
  auto config = config_for({scratch.write("text", test::joined(random_documents(10, 200)))}, scratch / "packed");
  const PackCounts first = pack(config);
  const auto files = files_of(config.output);
  const auto written = std::filesystem::last_write_time(scratch / "packed/manifest.json");
  config.threads = 2;  // changes nothing in the result
  const PackCounts second = pack(config);
  EXPECT_TRUE(files_of(config.output) == files);
  EXPECT_EQ(std::filesystem::last_write_time(scratch / "packed/manifest.json"), written);
  EXPECT_EQ(second.tokens, first.tokens);
  EXPECT_EQ(second.train_rows, first.train_rows);
  EXPECT_EQ(second.documents_valid, first.documents_valid);
  EXPECT_EQ(second.unigram_entropy, first.unigram_entropy);
}

TEST(Packer, ADamagedOrIncompleteResultIsMadeAgain) {
  const ScratchDirectory scratch;
  const auto config = config_for({scratch.write("text", test::joined(random_documents(14, 300)))}, scratch / "packed");
  const PackCounts first = pack(config);
  const auto files = files_of(config.output);
  for (const char* name : {"train-00000.bin", "train-00001.bin", "valid-00000.bin", "token_counts.bin",
                           "tokenizer/manifest.json", "tokenizer/tokenizer.json", "tokenizer/vocab.txt"}) {
    const auto path = scratch / "packed" / name;
    const std::string whole = test::read_bytes(path);
    ASSERT_FALSE(whole.empty()) << name;
    std::filesystem::remove(path);
    EXPECT_EQ(pack(config).tokens, first.tokens) << name;
    EXPECT_EQ(test::read_bytes(path), whole) << name << " is missing";
    test::write_bytes(path, whole.substr(0, whole.size() / 2));
    pack(config);
    EXPECT_EQ(test::read_bytes(path), whole) << name << " is cut";
    if (!path.string().ends_with(".json")) {
      std::string flipped = whole;
      flipped[whole.size() / 2] ^= 1;
      test::write_bytes(path, flipped);
      pack(config);
      EXPECT_EQ(test::read_bytes(path), whole) << name << " has another byte";
    }
    EXPECT_TRUE(files_of(config.output) == files) << name;
  }
}

TEST(Packer, OtherOptionsAreRefusedUnlessOverwriting) {
  const ScratchDirectory scratch;
  auto config = config_for({scratch.write("text", test::joined(random_documents(11, 300)))}, scratch / "packed");
  pack(config);
  const auto before = files_of(config.output);
  config.seq_len = 32;
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { pack(config); }), "--overwrite"));
  EXPECT_TRUE(files_of(config.output) == before);
  config.overwrite = true;
  pack(config);
  const PackedManifest manifest = read_packed_manifest(config.output);
  EXPECT_EQ(manifest.seq_len, 32);
  EXPECT_NO_THROW(RowStore(config.output, manifest.train_shards, manifest).verify(util::StopFlag()));
  for (const auto& [name, bytes] : files_of(config.output)) {  // nothing of the old shards is left
    const bool is_shard = name.ends_with(".bin") && name != "token_counts.bin";
    const auto& listed = name.starts_with("train-") ? manifest.train_shards : manifest.valid_shards;
    EXPECT_TRUE(!is_shard || std::ranges::find(listed, name, &ShardEntry::file) != listed.end()) << name;
  }
}

TEST(Packer, ChangedInputIsOtherData) {
  const ScratchDirectory scratch;
  const auto documents = random_documents(12, 200);
  const auto config = config_for({scratch.write("text", test::joined(documents))}, scratch / "packed");
  pack(config);
  scratch.write("text", test::joined(documents) + "one more\n");
  EXPECT_THROW(pack(config), ConfigError);
}

TEST(Packer, TooLittleTextIsADataErrorThatLeavesNothing) {
  const ScratchDirectory scratch;
  const auto config = config_for({scratch.write("text", "a b c\n")}, scratch / "packed");
  EXPECT_TRUE(contains(message_of<DataError>([&] { pack(config); }), "no training row of 16 tokens"));
  EXPECT_TRUE(files_of(config.output).empty());
  EXPECT_THROW(read_packed_manifest(config.output), DataError);
}

TEST(Packer, AStopLeavesNothing) {
  const ScratchDirectory scratch;
  const auto config = config_for({scratch.write("text", test::joined(random_documents(13, 50)))}, scratch / "packed");
  util::StopFlag stop;
  stop.request(15);
  EXPECT_THROW(run_pack(config, test::tiny_tokenizer(), {.stop = stop, .progress = util::ProgressStyle::kQuiet}),
               util::StoppedError);
  EXPECT_TRUE(files_of(config.output).empty());
  EXPECT_FALSE(std::filesystem::exists(scratch / "packed/.partial"));
}

TEST(Packer, SpecialTokensInACorpusAreText) {
  const ScratchDirectory scratch;
  std::string text;
  for (int i = 0; i < 40; ++i) {
    text +=
        cat("[SEP] [MASK] ", std::string(1 + static_cast<size_t>(i) % 3, 'x'), static_cast<char>('a' + i % 26), "\n\n");
  }
  auto config = config_for({scratch.write("text", text)}, scratch / "packed");
  config.valid_frac = 0;
  const PackCounts counts = pack(config);
  const Ids stream = train_stream(config.output);
  EXPECT_EQ(std::count(stream.begin(), stream.end(), 4), 0);
  EXPECT_LE(std::count(stream.begin(), stream.end(), kSep), counts.documents_train);
}

TEST(RowPacker, CutsADocumentIntoRowsByHand) {
  const ScratchDirectory scratch;
  const text::SpecialTokens special = test::tiny_tokenizer().special();
  RowPacker packer(scratch.path(), "train", {.seq_len = 4, .bytes_per_id = 2}, 2, special);
  packer.add_document(Ids{10, 11, 12, 13});
  packer.add_document(Ids{14});
  packer.add_document(Ids{15, 16});
  packer.finish();
  ASSERT_EQ(packer.shards().size(), 2U);  // two rows in a shard, and the third
  EXPECT_EQ(packer.shards()[0].file, "train-00000.bin");
  EXPECT_EQ(packer.shards()[1].rows, 1);
  EXPECT_EQ(packer.rows(), 3);
  Ids row(4);
  const ShardReader first(scratch / "train-00000.bin");
  first.read_row(0, row);
  EXPECT_EQ(row, (Ids{kCls, 10, 11, 12}));
  first.read_row(1, row);
  EXPECT_EQ(row, (Ids{kCls, 13, kSep, 14}));
  ShardReader(scratch / "train-00001.bin").read_row(0, row);
  EXPECT_EQ(row, (Ids{kCls, kSep, 15, 16}));
}

}  // namespace
}  // namespace bertcram::data
