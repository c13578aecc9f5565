#pragma once
// A unigram or BPE tokenizer as a Hugging Face tokenizer.json defines it: what such a file is read into.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bertcram/text/tokenizer.h"

namespace bertcram::text {

/// One step of the normaliser; the names are those of tokenizer.json.
struct NormalizerStep {
  enum class Kind {
    kCharMap,          ///< Precompiled: `pattern` is the character map
    kStrip,            ///< Strip: white space at the ends
    kReplace,          ///< Replace a text
    kReplaceSpaces,    ///< Replace the regular expression " {2,}"
    kReplaceLeading,   ///< Replace the regular expression "\A +"
    kReplaceTrailing,  ///< Replace the regular expression "▁+\z"
    kPrepend,          ///< Prepend, unless the text is empty
    kLowercase,        ///< Lowercase, character by character
    kCompose,          ///< NFC
  };
  Kind kind;
  std::string pattern;
  std::string content;
  bool strip_left = false;
  bool strip_right = false;
};

/// How normalised text is cut into words.
struct WordSplit {
  enum class Prepend { kAlways, kFirst, kNever };
  bool at_white_space = false;  ///< WhitespaceSplit
  bool metaspace = false;       ///< Metaspace: spaces become "▁"
  Prepend prepend = Prepend::kAlways;
  bool before_metaspace = true;  ///< a word begins with each "▁"
  bool byte_level = false;       ///< ByteLevel: cut as GPT-2 does, bytes spelt as visible characters
  bool prefix_space = true;      ///< of ByteLevel: text begins with a space
};

struct AddedToken {
  std::string content;
  int32_t id;
  bool lstrip = false;  ///< takes the white space before it
  bool rstrip = false;
  bool normalized = false;  ///< looked for after normalisation
  bool special = true;
};

enum class SubwordModel { kUnigram, kBpe };

struct SubwordDefinition {
  SubwordModel model = SubwordModel::kUnigram;
  std::vector<std::string> tokens;                  ///< in id order, added ones too
  size_t model_tokens = 0;                          ///< the first so many are the model's own
  std::vector<double> scores;                       ///< unigram
  std::vector<std::pair<int32_t, int32_t>> merges;  ///< BPE, the best first
  std::optional<int32_t> unk_id;                    ///< unigram: always there
  bool byte_fallback = false;
  bool fuse_unk = true;
  bool ignore_merges = false;
  std::vector<NormalizerStep> normalizer;
  WordSplit split;
  std::vector<AddedToken> added;
  SpecialRoles roles;
  std::string no_frame_reason;  ///< why [CLS] and [SEP] are unknown; empty: they are not, or just missing
  std::string json;             ///< the tokenizer.json itself, on one line
  std::string content_hash;     ///< of the parts of it that change ids
  std::string spm_model;        ///< the SentencePiece model it was made from; may be empty
};

}  // namespace bertcram::text
