// What the filters do to packed data: who is left, and what the manifest says of the others.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/text/tokenizer.h"
#include "data/packing_support.h"

namespace bertcram::data {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;

using nlohmann::json;

/// Byte-level BPE of letters, spaces and line ends, where some white space is joined.
json byte_level_json() {
  json vocab;
  json added = json::array();
  const auto add = [&](const std::string& token) {
    const auto id = vocab.size();
    vocab[token] = id;
  };
  for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    const json token = {{"id", vocab.size()}, {"content", special}, {"special", true}, {"normalized", false}};
    added.push_back(token);
    add(special);
  }
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    add({letter});
  }
  for (const char* space : {"\u010A", "\u0120", "\u010A\u0120", "\u0120\u0120"}) {
    add(space);
  }
  const json merges = json::array({json::array({"\u010A", "\u0120"}), json::array({"\u0120", "\u0120"})});
  return {{"added_tokens", added},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", true}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
}

class PackFilters : public ::testing::Test {
 protected:
  PackFilters() {
    config_.output = (scratch_ / "packed").string();
    config_.seq_len = 16;
    config_.valid_frac = 0;
    config_.threads = 2;
  }

  PackCounts pack(const std::string& text) {
    config_.input = {scratch_.write("text", text).string()};
    config_.overwrite = true;
    return test::pack(config_);
  }

  json rule(const char* name) const {
    return json::parse(test::read_bytes(std::filesystem::path(config_.output) / "manifest.json"))
        .at("filters")
        .at(name);
  }

  /// What the rows of a split hold, without white space and what stands between documents.
  std::string letters(const std::vector<ShardEntry>& shards) const {
    constexpr int32_t kFirstLetter = 5;  // two pieces for each
    const RowStore rows(config_.output, shards, read_packed_manifest(config_.output));
    std::vector<int32_t> ids(static_cast<size_t>(rows.seq_len()));
    std::string all;
    for (int64_t row = 0; row < rows.rows(); ++row) {
      rows.read_row(row, ids);
      for (const int32_t id : ids) {
        all += id < kFirstLetter ? "" : std::string(1, static_cast<char>('a' + (id - kFirstLetter) / 2));
      }
    }
    return all;
  }

  static std::string filler() { return test::joined(test::random_documents(test::test_seed(), 60)); }

  ScratchDirectory scratch_;
  config::PackConfig config_;
};

TEST_F(PackFilters, EachRuleIsCountedByName) {
  config_.filters.min_chars = 4;
  config_.filters.max_symbols = 0.5;
  config_.filters.max_repetition = 0.6;
  config_.filters.max_tokens_per_char = 0.9;
  config_.filters.decontaminate = {
      scratch_.write("evaluation.tsv", "label\ttext\n1\ta b c d e f g h i j k l m n\n").string()};
  const auto counts =
      pack("ab\n\nab {{{{{{\n\nq q q q q q q q q q\n\nabcdefghijklmnop\n\nz a b c d e f g h i j k l m\n\n" + filler());
  EXPECT_EQ(counts.documents_short, 1);
  EXPECT_EQ(counts.documents_symbols, 1);
  EXPECT_EQ(counts.documents_repetitive, 1);
  EXPECT_EQ(counts.documents_incompressible, 1);
  EXPECT_EQ(counts.documents_contaminated, 1);
  EXPECT_EQ(counts.documents_train, counts.documents_read - 5);
  for (const char* name : {"min_chars", "max_symbols", "max_repetition", "max_tokens_per_char", "decontaminate"}) {
    EXPECT_EQ(rule(name).at("removed"), 1) << name;
  }
  EXPECT_EQ(rule("max_symbols").at("value"), 0.5);
  EXPECT_EQ(pack("ab\n\n" + filler()).documents_short, 1);
}

TEST_F(PackFilters, NearDuplicatesLeaveOneOfEachCluster) {
  util::RandomStream random(test::test_seed());
  std::string text;
  for (int i = 0; i < 10; ++i) {
    const std::string document = test::random_words(random, 120);
    text += document + "\n\n" + document + "x\n\n" + "y " + document + "\n\n";
  }
  config_.filters.near_duplicates = 0.8;
  const auto counts = pack(text);
  EXPECT_EQ(counts.documents_near_duplicate, 20);
  EXPECT_EQ(counts.documents_train, 10);
  EXPECT_EQ(rule("near_duplicates"), (json{{"value", 0.8}, {"removed", 20}}));
  const std::string one = test::read_bytes(std::filesystem::path(config_.output) / "train-00000.bin");
  config_.threads = 1;
  pack(text);
  EXPECT_EQ(test::read_bytes(std::filesystem::path(config_.output) / "train-00000.bin"), one);
}

TEST_F(PackFilters, ParagraphsOccurOnceAndShortOnesAsOftenAsTheyLike) {
  util::RandomStream random(test::test_seed());
  const std::string boilerplate = test::random_words(random, 30);
  const std::string first = test::random_words(random, 30);
  const std::string second = test::random_words(random, 30);
  const std::string text = "head\n" + first + "\n" + boilerplate + "\n\nhead\n  " + boilerplate + "\n" + second +
                           "\n\n" + boilerplate + "\n\n";
  config_.dedup = config::Dedup::kExact;
  const int64_t everything = pack(text).tokens;
  config_.filters.duplicate_paragraphs = true;
  const auto counts = pack(text);
  EXPECT_EQ(counts.paragraphs_duplicate, 2);
  std::vector<int32_t> ids;
  test::tiny_tokenizer().encode(boilerplate, ids);
  EXPECT_EQ(counts.tokens, everything - 2 * static_cast<int64_t>(ids.size()));
  EXPECT_EQ(counts.documents_train + counts.documents_duplicate, 3);  // a document may consist of known lines only
  EXPECT_EQ(rule("duplicate_paragraphs"), (json{{"value", true}, {"removed", 2}}));
}

TEST_F(PackFilters, WordPieceSeesNoneOfTheWhiteSpaceBetweenLines) {
  util::RandomStream random(test::test_seed());
  std::string text;
  for (int i = 0; i < 40; ++i) {
    text += " \t" + test::random_words(random, 30) + "\r\n\u00A0 " + test::random_words(random, 30) + "\n\n";
  }
  const auto shard = std::filesystem::path(config_.output) / "train-00000.bin";
  const int64_t tokens = pack(text).tokens;
  const std::string whole = test::read_bytes(shard);
  config_.filters.duplicate_paragraphs = true;
  EXPECT_EQ(pack(text).tokens, tokens);
  EXPECT_TRUE(test::read_bytes(shard) == whole);
}

// Copies were compared among themselves: they kept lines that a held-out document had kept as well.
TEST_F(PackFilters, AHeldOutLineIsInNoCopy) {
  util::RandomStream random(test::test_seed());
  std::vector<std::string> lines(200);
  std::ranges::generate(lines, [&] { return test::random_words(random, 30) + "\n"; });
  std::vector<std::string> documents;
  for (size_t i = 0; i < lines.size(); ++i) {
    documents.push_back(lines[i] + lines[(i + 1) % lines.size()]);  // each line in two of them
  }
  scratch_.write("a.txt", test::joined(documents));
  config_.valid_frac = 0.4;
  config_.filters.duplicate_paragraphs = true;
  config_.input = {scratch_.write("list.yaml", "sources:\n  - {path: a.txt, weight: 2}\n").string()};
  test::pack(config_);
  const std::string train = letters(read_packed_manifest(config_.output).train_shards);
  const std::string valid = letters(read_packed_manifest(config_.output).valid_shards);
  int64_t held_out = 0;
  int64_t repeated = 0;
  for (std::string line : lines) {
    std::erase_if(line, [](char c) { return c == ' ' || c == '\n'; });
    const size_t found = train.find(line);
    const bool is_held_out = valid.find(line) != std::string::npos;
    EXPECT_FALSE(is_held_out && found != std::string::npos) << line;
    held_out += is_held_out ? 1 : 0;
    repeated += found != std::string::npos && train.find(line, found + 1) != std::string::npos ? 1 : 0;
  }
  EXPECT_GT(held_out, 40);
  EXPECT_GT(repeated, 80) << "lines of training documents stand in both copies";
}

TEST_F(PackFilters, WhatGivesNoTokenIsNoDocument) {
  const auto counts = pack("\u00A0\u200B\n\n\uFEFF \u200B\n\n" + filler());
  EXPECT_EQ(counts.documents_short, 2);
  EXPECT_EQ(counts.documents_train, counts.documents_read - 2);
  const std::string message = message_of<DataError>([&] { pack("\u00A0\n"); });
  EXPECT_TRUE(contains(message, "1 of 1 documents removed by the tokenizer, which finds nothing in them)"));
}

/// With a tokenizer that knows line ends and indentation.
class PackFiltersOfBytes : public PackFilters {
 protected:
  PackCounts pack_bytes(const std::vector<std::string>& documents) {
    std::string lines;
    for (const std::string& document : documents) {
      lines += json({{"text", document}}).dump() + "\n";
    }
    config_.input = {scratch_.write("text", lines).string()};
    config_.overwrite = true;
    const util::StopFlag stop;
    return run_pack(config_, *tokenizer_, {.stop = stop, .progress = util::ProgressStyle::kQuiet});
  }
  std::string shard() const { return test::read_bytes(std::filesystem::path(config_.output) / "train-00000.bin"); }

  std::unique_ptr<text::Tokenizer> tokenizer_ =
      text::load_tokenizer(scratch_.write("tokenizer.json", byte_level_json().dump()), std::nullopt);
};

TEST_F(PackFiltersOfBytes, LinesAreEncodedAsInTheirText) {
  util::RandomStream random(test::test_seed());
  std::vector<std::string> documents;
  for (int i = 0; i < 40; ++i) {  // the words end with a space
    documents.push_back("head\n\n    " + test::random_words(random, 30) + "\n  " + test::random_words(random, 30) +
                        "\n\n");
  }
  const int64_t tokens = pack_bytes(documents).tokens;
  const std::string whole = shard();
  config_.filters.duplicate_paragraphs = true;
  EXPECT_EQ(pack_bytes(documents).tokens, tokens);
  EXPECT_TRUE(shard() == whole);
}

TEST_F(PackFiltersOfBytes, WhatIsKeptIsEncodedAsIfTheOtherLinesHadNeverBeen) {
  util::RandomStream random(test::test_seed());
  const std::string boilerplate = "\n  " + test::random_words(random, 30);
  const auto words = [&] { return test::random_words(random, 30); };
  const std::string first = words();
  const std::string second = words();
  const std::string rest = "\n    " + words();
  const std::string other_rest = "\n      " + words();
  const int64_t tokens = pack_bytes({first + boilerplate + rest, second + other_rest}).tokens;
  config_.filters.duplicate_paragraphs = true;
  const PackCounts counts = pack_bytes({first + boilerplate + rest, second + boilerplate + other_rest});
  EXPECT_EQ(counts.paragraphs_duplicate, 1);
  EXPECT_EQ(counts.tokens, tokens);
}

TEST_F(PackFilters, WhatLeavesNoRowIsSaidWithWhatHelps) {
  const auto refusal = [&](const std::string& text) { return message_of<DataError>([&] { pack(text); }); };
  config_.filters.min_chars = 100'000'000;
  std::string message = refusal(filler());
  EXPECT_TRUE(contains(message, "(60 of 60 documents removed by --min-chars); change that, or give other text"));
  EXPECT_FALSE(contains(message, "more text")) << message;
  config_.filters.min_chars = 5;
  message = refusal("ab\n\nabcdef\n\n");
  EXPECT_TRUE(
      contains(message, "(1 of 2 documents removed by --min-chars; left: 1 document, 6 tokens); change that, "));
  EXPECT_TRUE(contains(message, "--seq-len"));
  config_.text.text_field = "x";
  message = refusal("{\"text\": \"a b c\"}\n{\"text\": \"d\"}\n");
  EXPECT_TRUE(contains(message, "(2 records without a text in --text-field 'x'); change that, or give other text"));
  message = refusal("abcdef\n");
  EXPECT_TRUE(contains(message, "(1 document, 6 tokens); give more text, or rows of fewer tokens (--seq-len"));
}

TEST_F(PackFilters, TheEvaluationFilesBelongToTheRequest) {
  const auto evaluation = scratch_.write("evaluation.txt", "nothing\n");
  config_.filters.decontaminate = {evaluation.string()};
  const std::string text = "a b c d e f g h i j k l m n\n\n" + filler();
  EXPECT_EQ(pack(text).documents_contaminated, 0);
  config_.overwrite = false;
  EXPECT_EQ(test::pack(config_).documents_contaminated, 0);  // its own result
  scratch_.write("evaluation.txt", "a b c d e f g h i j k l m n\n");
  EXPECT_THROW(test::pack(config_), ConfigError);
  config_.overwrite = true;
  EXPECT_EQ(test::pack(config_).documents_contaminated, 1);
}

}  // namespace
}  // namespace bertcram::data
