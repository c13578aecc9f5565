#pragma once
// The interface of every tokenizer, and how to get one.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/text/normalizer.h"

namespace bertcram::text {

/// Ids of the tokens with a role.
struct SpecialTokens {
  int32_t pad;
  int32_t unk;
  int32_t cls;
  int32_t sep;
  int32_t mask;

  bool operator==(const SpecialTokens&) const = default;
};

/// The same for tokenizers made elsewhere, which may lack some.
struct SpecialRoles {
  std::optional<int32_t> pad;
  std::optional<int32_t> unk;
  std::optional<int32_t> cls;
  std::optional<int32_t> sep;
  std::optional<int32_t> mask;
};

enum class SpecialInText {
  kRecognise,  ///< "[MASK]" standing literally in the text becomes its id, as in Hugging Face
  kPlainText,  ///< "[MASK]" is text like any other and gives no special id: for corpora
};

/// What stands before a text: some tokenizers put a space where an input begins.
enum class Before {
  kNothing,  ///< the text is an input, or begins one
  kToken,    ///< a literal token of the same input
  kText,     ///< other text of the same input; the ids are those of the whole if this begins with its white space
};

struct EncodeOptions {
  SpecialInText special_in_text = SpecialInText::kRecognise;
  /// Heeded by tokenizer.json of type Unigram and BPE. WordPiece puts no space; the SentencePiece library always does.
  Before before = Before::kNothing;
};

/// What the model of a tokenizer reads, for Hugging Face.
struct ModelInput {
  int64_t max_tokens = 512;     ///< what texts are cut to when asked to (`truncation=True`): the positions of the model
  bool has_token_types = true;  ///< whether it takes `token_type_ids`
};

/// Text to token ids and back. Immutable, thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Appends the ids of `text` to `ids`, without [CLS] and [SEP]. Invalid UTF-8 is treated as U+FFFD, never an error.
  virtual void encode(std::string_view text, std::vector<int32_t>& ids, const EncodeOptions& options) const = 0;
  /// The same, recognising special tokens in the text.
  void encode(std::string_view text, std::vector<int32_t>& ids) const { encode(text, ids, EncodeOptions{}); }

  /// REQUIRES: 0 <= id < vocab_size(); checked.
  virtual std::string_view token(int32_t id) const = 0;
  virtual std::optional<int32_t> find(std::string_view token) const = 0;
  virtual int64_t vocab_size() const = 0;
  virtual SpecialRoles roles() const = 0;
  /// All five. @throws DataError naming those that are missing: SentencePiece models made elsewhere often lack some
  virtual const SpecialTokens& special() const = 0;

  /// Hexadecimal hash of everything that changes ids (vocabulary and options); the same on every machine.
  virtual std::string fingerprint() const = 0;

  /// Readable text: pieces joined, space before punctuation removed, special tokens kept.
  virtual std::string decode(std::span<const int32_t> ids) const = 0;

  /// Writes a tokenizer directory that Hugging Face loads, manifest.json last. @throws ResourceError
  virtual void save(const std::filesystem::path& directory, const ModelInput& input) const = 0;
  /// The same for no model in particular.
  void save(const std::filesystem::path& directory) const { save(directory, ModelInput{}); }
};

enum class Casing { kUncased, kCased };

/// Loads a tokenizer directory of ours, a plain Hugging Face directory (tokenizer.json of type WordPiece, Unigram or BPE,
/// or vocab.txt with or without tokenizer_config.json), a tokenizer.json, a SentencePiece model (told by its name
/// `*.model`), or a bare vocab.txt.
///
/// @param casing_of_bare_vocab for a vocabulary without configuration; nullopt means uncased there
/// @throws DataError if something is missing, damaged, or asks for a feature that would change ids and is not built in
/// @throws ConfigError if a casing is given although the path says it itself
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path,
                                          std::optional<Casing> casing_of_bare_vocab);

/// A tokenizer from tokens in id order, which must contain [PAD], [UNK], [CLS], [SEP] and [MASK].
/// @throws DataError if one of these is missing or a token occurs twice
std::unique_ptr<Tokenizer> make_wordpiece_tokenizer(std::vector<std::string> vocab, NormalizerOptions options);

}  // namespace bertcram::text
