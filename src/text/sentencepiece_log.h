#pragma once
// The SentencePiece library's own messages.

namespace bertcram::text {

/// Turns off what the library prints on stderr, for the whole process; what it complains of comes back as a status too.
void silence_sentencepiece();

}  // namespace bertcram::text
