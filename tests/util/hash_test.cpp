// Hashes: streaming equals one shot, and the values in files never change.

#include "bertcram/util/hash.h"

#include <gtest/gtest.h>

#include "bertcram/util/random.h"
#include "util/test_support.h"

namespace bertcram::util {
namespace {

TEST(StreamHashProperty, EqualsTheOneShotHashHoweverTheBytesArrive) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  RandomStream random(seed);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{16}, size_t{240}, size_t{241}, size_t{1000}, size_t{70'000}}) {
    std::string text(size, '\0');
    for (char& c : text) {
      c = static_cast<char>(random.below(256));
    }
    StreamHash stream;
    for (size_t at = 0; at < size;) {
      const size_t step = std::min(size - at, static_cast<size_t>(1 + random.below(777)));
      stream.update(std::string_view(text).substr(at, step));
      at += step;
    }
    EXPECT_EQ(stream.digest128(), hash128(text)) << size;
  }
}

TEST(StreamHash, AStopEndsALongHash) {
  const std::string text(9'000'000, 'x');
  StopFlag stop;
  StreamHash stream;
  stream.update(text, stop);
  EXPECT_EQ(stream.digest128(), hash128(text));
  stop.request(15);
  EXPECT_THROW(stream.update(text, stop), StoppedError);
}

// XXH3 of the empty input, from the reference implementation's documentation.
TEST(HashGolden, IsXxh3) {
  EXPECT_EQ(hash64(""), 0x2d06800538d394c2ULL);
  EXPECT_EQ(hash128("").hex(), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash, HexHasAllDigits) { EXPECT_EQ((Hash128{.high = 1, .low = 0xAB}).hex(), "000000000000000100000000000000ab"); }

TEST(Hash, OfAFileIsTheHashOfItsBytes) {
  const test::ScratchDirectory scratch;
  EXPECT_EQ(hash_file(scratch.write("some", "text\n")), hash128("text\n"));
  EXPECT_EQ(hash_file(scratch.write("none", "")), hash128(""));
  EXPECT_THROW(hash_file(scratch / "missing"), DataError);
}

}  // namespace
}  // namespace bertcram::util
