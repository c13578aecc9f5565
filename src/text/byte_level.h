#pragma once
// Byte-level BPE (Radford et al. 2019, GPT-2) as Hugging Face's ByteLevel cuts and spells words.

#include <cstdint>
#include <string>
#include <string_view>

namespace bertcram::text {

/// Bytes of the word that begins at `from`: what GPT-2's regular expression
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` matches there.
/// REQUIRES: valid UTF-8, from < text.size()
size_t byte_level_word_bytes(std::string_view text, size_t from);

/// The bytes of `word` as the visible characters that stand for them in such vocabularies ("Ġ" for a space).
std::string spell_bytes(std::string_view word);

/// Appends the bytes that the characters of a piece stand for; a piece with one that stands for none is taken as it is.
void append_spelt_bytes(std::string_view piece, std::string& out);

}  // namespace bertcram::text
