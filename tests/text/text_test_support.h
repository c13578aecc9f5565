#pragma once
// What several tests of the text room share: seeded random text, a small vocabulary, a folder that cleans up.

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bertcram/text/tokenizer.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/random.h"

namespace bertcram::text {

/// The seed of a property test; BERTCRAM_TEST_SEED repeats a failure.
inline uint64_t test_seed() {
  const char* given = std::getenv("BERTCRAM_TEST_SEED");
  return given == nullptr ? 20240607 : std::strtoull(given, nullptr, 10);
}

struct CharPool {
  char32_t first;
  char32_t last;
};

/// Ranges that exercise every branch of the normaliser.
inline constexpr std::array<CharPool, 20> kCharPools = {
    {{0x61, 0x7A},     {0x20, 0x7E},       {0x20, 0x20},       {0x00, 0x24F},      {0x300, 0x36F},
     {0x302A, 0x302F}, {0x1D15E, 0x1D172}, {0x1D165, 0x1D172}, {0x591, 0x5F4},     {0x900, 0xDFF},
     {0x1AB0, 0x1ACE}, {0x1E00, 0x1FFF},   {0x2000, 0x206F},   {0x3040, 0x30FF},   {0x4E00, 0x4FFF},
     {0xAC00, 0xD7A3}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}, {0x1F300, 0x1F6FF}, {0xE000, 0x10FFFF}}};

inline std::u32string random_code_points(util::RandomStream& rng, uint64_t max_chars) {
  std::array<CharPool, 3> pools{};
  for (CharPool& pool : pools) {
    pool = kCharPools[rng.below(kCharPools.size())];
  }
  std::u32string text;
  for (uint64_t left = 1 + rng.below(max_chars); left > 0; --left) {
    const CharPool& pool = pools[rng.below(pools.size())];
    text.push_back(pool.first + static_cast<char32_t>(rng.below(pool.last - pool.first + 1)));
  }
  return text;
}

/// The ids of random texts, made by three threads at once, against those made by one.
inline void expect_same_ids_from_threads(const Tokenizer& tokenizer, int text_count) {
  util::RandomStream rng(test_seed());
  std::vector<std::string> texts;
  for (int i = 0; i < text_count; ++i) {
    texts.push_back(to_utf8(random_code_points(rng, 30)));
  }
  const auto encode_all = [&] {
    std::vector<std::vector<int32_t>> all(texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      tokenizer.encode(texts[i], all[i]);
    }
    return all;
  };
  const auto expected = encode_all();
  std::vector<std::vector<std::vector<int32_t>>> got(3);
  std::vector<std::thread> threads;
  for (auto& mine : got) {
    threads.emplace_back([&] { mine = encode_all(); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const auto& mine : got) {
    EXPECT_EQ(mine, expected);
  }
}

/// Specials first, then `pieces`.
inline std::vector<std::string> vocab_with(const std::vector<std::string>& pieces) {
  std::vector<std::string> vocab = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  vocab.insert(vocab.end(), pieces.begin(), pieces.end());
  return vocab;
}

/// A folder of its own for one test, removed with the object.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "bertcram-text-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error("no scratch directory: " + name);
    }
    path_ = name;
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The message of the exception of type E that `action` throws.
template <class E, class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

/// Of 1 to max_chars characters, the first so many of the alphabet.
inline std::string random_word(util::RandomStream& rng, uint64_t max_chars, uint64_t letters) {
  std::string word;
  for (uint64_t left = 1 + rng.below(max_chars); left > 0; --left) {
    word += static_cast<char>('a' + rng.below(letters));
  }
  return word;
}

}  // namespace bertcram::text
