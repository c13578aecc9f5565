#include "bertcram/text/subword_tokenizer.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "bertcram/text/sentencepiece_trainer.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "spm_test_support.h"
#include "text/bpe.h"
#include "text/hub_normalizer.h"
#include "text/unigram.h"
#include "text_test_support.h"

namespace bertcram::text {
namespace {

using Ids = std::vector<int32_t>;
using nlohmann::json;

/// Different random words, among them single letters.
std::vector<std::string> random_vocab(util::RandomStream& rng, size_t size, uint64_t letters) {
  std::map<std::string, bool> words;
  while (words.size() < size) {
    words[random_word(rng, 5, letters)] = true;
  }
  std::vector<std::string> vocab = {"<unk>"};
  for (const auto& [word, ignored] : words) {
    vocab.push_back(word);
  }
  return vocab;
}

/// The best sum over all ways to cut up `word`.
double best_sum(const Vocabulary& vocabulary, const std::vector<double>& scores, double unknown,
                std::string_view word) {
  if (word.empty()) {
    return 0;
  }
  double best = -std::numeric_limits<double>::infinity();
  for (size_t size = 1; size <= word.size(); ++size) {
    const auto id = vocabulary.find(word.substr(0, size));
    if (id || size == 1) {
      const double score = id ? scores[static_cast<size_t>(*id)] : unknown;
      best = std::max(best, score + best_sum(vocabulary, scores, unknown, word.substr(size)));
    }
  }
  return best;
}

TEST(UnigramProperty, NoWayToCutAWordUpIsBetter) {
  util::RandomStream rng(test_seed());
  for (int round = 0; round < 40; ++round) {
    const Vocabulary vocabulary(random_vocab(rng, 25, 4), "test");
    std::vector<double> scores;
    for (int64_t i = 0; i < vocabulary.size(); ++i) {
      scores.push_back(-1.0 - static_cast<double>(rng.below(900)) / 100);
    }
    const double unknown = std::ranges::min(scores) - 10;
    const Unigram unigram(vocabulary, scores, {.unk_id = 0, .bytes = std::nullopt});
    for (int i = 0; i < 20; ++i) {
      const std::string word = random_word(rng, 12, 5);
      Ids ids;
      unigram.encode_word(word, {}, ids);
      std::string joined;
      double sum = 0;
      bool has_unknown = false;
      for (const int32_t id : ids) {
        joined += vocabulary.token(id);
        sum += scores[static_cast<size_t>(id)];
        has_unknown = has_unknown || id == 0;
      }
      if (!has_unknown) {
        EXPECT_EQ(joined, word) << "seed " << test_seed();
        EXPECT_NEAR(sum, best_sum(vocabulary, scores, unknown, word), 1e-9) << word << " seed " << test_seed();
      }
    }
  }
}

TEST(Unigram, FusesUnknownCharactersAndFallsBackToBytes) {
  std::vector<std::string> tokens = {"<unk>", "a", "é"};
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    tokens.push_back({'<', '0', 'x', kHex[byte / 16], kHex[byte % 16], '>'});
  }
  const Vocabulary vocabulary(tokens, "test");
  const std::vector<double> scores(tokens.size(), -1.0);
  Ids fused;
  Unigram(vocabulary, scores, {.unk_id = 0, .bytes = std::nullopt}).encode_word("xyaéz", {}, fused);
  EXPECT_EQ(fused, (Ids{0, 1, 2, 0}));
  Ids bytes;
  Unigram(vocabulary, scores, {.unk_id = 0, .bytes = find_byte_pieces(vocabulary, tokens.size())})
      .encode_word("aß", {}, bytes);
  EXPECT_EQ(bytes, (Ids{1, 3 + 0xC3, 3 + 0x9F}));
  EXPECT_FALSE(find_byte_pieces(vocabulary, tokens.size() - 1)) << "one is missing";
}

/// Joins as the algorithm is told: the best rank anywhere, the leftmost of equals, until there is none.
Ids join_by_definition(const std::map<std::pair<int32_t, int32_t>, std::pair<size_t, int32_t>>& rules, Ids ids) {
  while (true) {
    size_t best = ids.size();
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto rule = rules.find({ids[i], ids[i + 1]});
      if (rule != rules.end() &&
          (best == ids.size() || rule->second.first < rules.at({ids[best], ids[best + 1]}).first)) {
        best = i;
      }
    }
    if (best == ids.size()) {
      return ids;
    }
    ids[best] = rules.at({ids[best], ids[best + 1]}).second;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeProperty, JoinsTheBestRankFirst) {
  util::RandomStream rng(test_seed());
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> tokens = {"a", "b", "c"};
    std::vector<Bpe::Merge> merges;
    while (merges.size() < 12) {
      const auto left = static_cast<int32_t>(rng.below(tokens.size()));
      const auto right = static_cast<int32_t>(rng.below(tokens.size()));
      const std::string joined = tokens[static_cast<size_t>(left)] + tokens[static_cast<size_t>(right)];
      if (std::ranges::find(tokens, joined) == tokens.end()) {
        merges.push_back({left, right, static_cast<int32_t>(tokens.size())});
        tokens.push_back(joined);
      }
    }
    std::map<std::pair<int32_t, int32_t>, std::pair<size_t, int32_t>> rules;
    for (size_t i = 0; i < merges.size(); ++i) {
      rules[{merges[i].left, merges[i].right}] = {i, merges[i].joined};
    }
    const Vocabulary vocabulary(tokens, "test");
    const Bpe bpe(vocabulary, merges,
                  {.unk_id = std::nullopt,
                   .bytes = std::nullopt,
                   .model_tokens = tokens.size(),
                   .fuse_unk = false,
                   .ignore_merges = false});
    for (int i = 0; i < 30; ++i) {
      const std::string word = random_word(rng, 14, 3);
      Ids characters;
      for (const char c : word) {
        characters.push_back(c - 'a');
      }
      Ids ids;
      bpe.encode_word(word, {}, ids);
      EXPECT_EQ(ids, join_by_definition(rules, characters)) << word << " seed " << test_seed();
    }
  }
}

TEST(Bpe, TreatsUnknownCharactersAsTold) {
  const Vocabulary vocabulary({"<unk>", "a", "ab", "b"}, "test");
  const auto ids = [&](std::optional<int32_t> unk, bool fuse, bool whole) {
    Ids found;
    Bpe(vocabulary, {},
        {.unk_id = unk, .bytes = std::nullopt, .model_tokens = 4, .fuse_unk = fuse, .ignore_merges = whole})
        .encode_word("xyab", {}, found);
    Bpe(vocabulary, {},
        {.unk_id = unk, .bytes = std::nullopt, .model_tokens = 4, .fuse_unk = fuse, .ignore_merges = whole})
        .encode_word("ab", {}, found);
    return found;
  };
  EXPECT_EQ(ids(0, true, false), (Ids{0, 1, 3, 1, 3}));
  EXPECT_EQ(ids(0, false, false), (Ids{0, 0, 1, 3, 1, 3}));
  EXPECT_EQ(ids(std::nullopt, true, false), (Ids{1, 3, 1, 3})) << "without an unknown token they vanish";
  EXPECT_EQ(ids(0, true, true), (Ids{0, 1, 3, 2}));
}

std::string normalized(std::vector<NormalizerStep> steps, std::string text) {
  return HubNormalizer(steps, "test").normalize(std::move(text));
}

TEST(HubNormalizer, AppliesEachStepAsHuggingFaceDoes) {
  using Kind = NormalizerStep::Kind;
  const auto one = [](Kind kind, std::string pattern, std::string content, std::string text) {
    return normalized({{.kind = kind,
                        .pattern = std::move(pattern),
                        .content = std::move(content),
                        .strip_left = true,
                        .strip_right = true}},
                      std::move(text));
  };
  EXPECT_EQ(one(Kind::kStrip, "", "", "\u00A0 a b\t\u3000"), "a b");
  EXPECT_EQ(one(Kind::kReplace, "``", "\"", "```a``"), "\"`a\"");
  EXPECT_EQ(one(Kind::kReplaceSpaces, "", "_", " a  b   "), " a_b_");
  EXPECT_EQ(one(Kind::kReplaceLeading, "", "", "   a b "), "a b ");
  EXPECT_EQ(one(Kind::kReplaceTrailing, "", "", "▁a▁▁"), "▁a");
  EXPECT_EQ(one(Kind::kPrepend, "", "▁", "▁a"), "▁▁a");
  EXPECT_EQ(one(Kind::kPrepend, "", "▁", ""), "");
  EXPECT_EQ(one(Kind::kLowercase, "", "", "ÀΣ İ"), "àσ i\u0307");
  EXPECT_EQ(normalized({{.kind = Kind::kPrepend, .pattern = "", .content = "b"},
                        {.kind = Kind::kReplace, .pattern = "ba", .content = "c"}},
                       "a"),
            "c")
      << "in their order";
}

std::vector<std::string> words_of(std::string_view text, WordSplit split, Before before = Before::kNothing) {
  std::vector<std::string> words;
  for_each_word(text, split, before, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(HubNormalizer, CutsTextIntoWordsAsMetaspaceDoes) {
  using Words = std::vector<std::string>;
  using Prepend = WordSplit::Prepend;
  EXPECT_EQ(words_of("a  b ", {.metaspace = true}), (Words{"▁a", "▁", "▁b", "▁"}));
  EXPECT_EQ(words_of("▁a", {.metaspace = true}), (Words{"▁a"}));
  EXPECT_EQ(words_of("a b", {.metaspace = true, .prepend = Prepend::kFirst}, Before::kToken), (Words{"a", "▁b"}));
  EXPECT_EQ(words_of("a b", {.metaspace = true, .prepend = Prepend::kFirst}), (Words{"▁a", "▁b"}));
  EXPECT_EQ(words_of("a b", {.metaspace = true, .prepend = Prepend::kNever, .before_metaspace = false}),
            (Words{"a▁b"}));
  EXPECT_EQ(words_of(" a\u2003b ", {.at_white_space = true, .metaspace = true}), (Words{"▁a", "▁b"}));
  EXPECT_EQ(words_of("\nb", {.metaspace = true}, Before::kToken), (Words{"▁\nb"}));
  EXPECT_EQ(words_of("\nb", {.metaspace = true}, Before::kText), (Words{"\nb"})) << "as in \"a\\nb\"";
  EXPECT_EQ(words_of("\nb c", {.at_white_space = true, .metaspace = true}, Before::kText), (Words{"▁b", "▁c"}));
  EXPECT_EQ(words_of("a b", {}), (Words{"a b"}));
  EXPECT_EQ(words_of("", {.metaspace = true}), (Words{}));
}

/// A tokenizer.json with one BPE token per character.
json character_json(const std::string& characters) {
  json vocab = {{"<unk>", 0U}};
  for (const char32_t c : to_code_points(characters)) {
    const auto id = vocab.size();
    vocab[to_utf8({&c, 1})] = id;
  }
  return {{"model",
           {{"type", "BPE"}, {"vocab", vocab}, {"merges", json::array()}, {"unk_token", "<unk>"}, {"fuse_unk", true}}}};
}

json added(const std::string& content, int id, const char* flag) {
  json token = {{"content", content},  {"id", id},       {"single_word", false}, {"lstrip", false}, {"rstrip", false},
                {"normalized", false}, {"special", true}};
  if (*flag != '\0') {
    token[flag] = true;
  }
  return token;
}

SubwordTokenizer tokenizer_of(const json& document) { return {read_subword_json(document, "x.json", {}), "x.json"}; }

TEST(SubwordTokenizer, AddedTokensTakeTheWhiteSpaceBesideThem) {
  json document = character_json("a ");
  const auto encode = [&](const char* flag, const char* text) {
    document["added_tokens"] = {added("<m>", 3, flag)};
    return ids_of(tokenizer_of(document), text);
  };
  EXPECT_EQ(encode("", "a <m> a"), (Ids{1, 2, 3, 2, 1}));
  EXPECT_EQ(encode("lstrip", "a \t<m> a"), (Ids{1, 3, 2, 1}));
  EXPECT_EQ(encode("rstrip", "a <m> <m>  a"), (Ids{1, 2, 3, 3, 1}));
}

TEST(SubwordTokenizer, AddedTokensMayBeLookedForAfterNormalisation) {
  json document = character_json("am<>");
  document["normalizer"] = {{"type", "Lowercase"}};
  document["added_tokens"] = {added("<M>", 5, "normalized")};
  EXPECT_EQ(ids_of(tokenizer_of(document), "A<m>a<M>"), (Ids{1, 5, 1, 5}));
  document["added_tokens"] = {added("<M>", 5, "")};
  EXPECT_EQ(ids_of(tokenizer_of(document), "A<m>a<M>"), (Ids{1, 3, 2, 4, 1, 5}));
}

TEST(SubwordTokenizer, PlainTextNeverSpellsASpecialToken) {
  const SpmModel model = small_spm();
  const auto tokenizer = make_subword_tokenizer(spm_bytes(model), "x.model");
  EXPECT_EQ(ids_of(*tokenizer, "a[MASK]ab"), (Ids{5, 6, 4, 9}));
  EXPECT_EQ(ids_of(*tokenizer, "a[MASK]ab", kPlain), (Ids{5, 6, 10, 11, 1, 8}));
}

TEST(SubwordTokenizer, UnknownCharactersThatSpellASpecialTokenAreUnknownInPlainText) {
  const auto tokenizer = make_subword_tokenizer(spm_bytes(spm_with({{"▁", -2, SpmPieceType::kNormal}})), "x.model");
  EXPECT_EQ(ids_of(*tokenizer, "[MASK]", kPlain), (Ids{5, 1}));
}

TEST(Bpe, DoesNotUseWhatIsBarred) {
  const Vocabulary vocabulary({"?", "a", "b", "ab"}, "x");
  const std::vector<Bpe::Merge> merges = {{.left = 1, .right = 2, .joined = 3}};
  const auto ids = [&](const char* word, const std::vector<char>& barred, bool whole) {
    Ids found;
    Bpe(vocabulary, merges,
        {.unk_id = 0, .bytes = std::nullopt, .model_tokens = 4, .fuse_unk = false, .ignore_merges = whole})
        .encode_word(word, barred, found);
    return found;
  };
  for (const bool whole : {false, true}) {
    EXPECT_EQ(ids("ab", {}, whole), (Ids{3}));
    EXPECT_EQ(ids("ab", {0, 0, 0, 1}, whole), (Ids{1, 2}));
    EXPECT_EQ(ids("a", {0, 1, 0, 0}, whole), (Ids{0}));
  }
}

TEST(SubwordTokenizer, OrdinaryAddedTokensAreFoundInPlainTextToo) {
  json document = character_json("a ");
  document["added_tokens"] = {added("<m>", 3, ""), added("<w>", 4, "")};
  document["added_tokens"][1]["special"] = false;
  EXPECT_EQ(ids_of(tokenizer_of(document), "a<m><w>", kPlain), (Ids{1, 0, 4}));
  EXPECT_EQ(ids_of(tokenizer_of(document), "a<m><w>"), (Ids{1, 3, 4}));
}

TEST(SubwordTokenizer, TokensWithARoleAreNotSpeltByPlainTextThoughNotMarkedSpecial) {
  json document = character_json("a<s>/");
  document["added_tokens"] = {added("<s>", 6, ""), added("</s>", 7, "")};
  for (const bool normalized : {false, true}) {
    for (json& token : document["added_tokens"]) {
      token["special"] = false;
      token["normalized"] = normalized;
    }
    const auto tokenizer = tokenizer_of(document);
    EXPECT_EQ(tokenizer.roles().sep, 7);
    EXPECT_EQ(ids_of(tokenizer, "<s>a</s>"), (Ids{6, 1, 7})) << "as Hugging Face";
    EXPECT_EQ(ids_of(tokenizer, "<s>a</s>", kPlain), (Ids{2, 3, 4, 1, 2, 5, 3, 4}));
  }
}

TEST(SubwordTokenizer, PiecesOfTheFrameAreNotSpeltByPlainTextThoughNotAdded) {
  json document = character_json("a<s>/");
  document["model"]["vocab"]["<s>"] = 6U;
  document["model"]["vocab"]["</s>"] = 7U;
  document["model"]["ignore_merges"] = true;
  document["post_processor"] = {{"type", "RobertaProcessing"}, {"cls", {"<s>", 6}}, {"sep", {"</s>", 7}}};
  const auto tokenizer = tokenizer_of(document);
  EXPECT_EQ(tokenizer.roles().sep, 7);
  EXPECT_EQ(ids_of(tokenizer, "</s>"), (Ids{7})) << "as Hugging Face";
  EXPECT_EQ(ids_of(tokenizer, "<s>", kPlain), (Ids{2, 3, 4}));
  EXPECT_EQ(ids_of(tokenizer, "</s>", kPlain), (Ids{2, 5, 3, 4}));
}

TEST(SubwordTokenizer, ReadsInvalidUtf8AsReplacementCharacters) {
  const auto tokenizer = tokenizer_of(character_json("a\uFFFD"));
  EXPECT_EQ(ids_of(tokenizer, "a\xC3"), (Ids{1, 2}));
}

TEST(SubwordTokenizer, DecodesIntoReadableText) {
  const auto tokenizer = make_subword_tokenizer(spm_bytes(small_spm()), "x.model");
  EXPECT_EQ(tokenizer->decode(Ids{2, 9, 5, 6, 3}), "[CLS] ab a[SEP]");
  EXPECT_EQ(tokenizer->decode(Ids{9, 9}), "ab ab");
}

}  // namespace
}  // namespace bertcram::text
