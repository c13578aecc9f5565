// Named pipes: read as files are, and a command that waits for one can be stopped.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "bertcram/data/document_reader.h"
#include "data/reading_support.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using test::contains;
using test::message_of;
using test::ReadResult;
using test::ScratchDirectory;

class NamedPipe : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::mkfifo(pipe_.c_str(), 0600), 0); }
  static void wait_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

  ScratchDirectory scratch_;
  const std::filesystem::path pipe_ = scratch_ / "pipe";
  util::StopFlag stop_;
};

// Found by review: opening it waited for a writer, whatever signals came.
TEST_F(NamedPipe, WithoutAWriterCanBeStopped) {
  std::thread user([&] {
    wait_a_little();
    stop_.request(15);
  });
  const std::string message = message_of<util::StoppedError>([&] { test::read_documents({pipe_}, {.stop = &stop_}); });
  user.join();
  EXPECT_TRUE(contains(message, "stopped while reading " + pipe_.string()));
}

TEST_F(NamedPipe, IsReadUntilItsWriterGoes) {
  for (const std::string& first : {std::string("one\n\n"), std::string(300'000, 'x') + "\n\n", std::string()}) {
    for (const std::string& second : {std::string("two\n"), std::string()}) {
      std::thread writer([&] {
        wait_a_little();
        std::ofstream out(pipe_, std::ios::binary);
        wait_a_little();
        out << first << std::flush;
        wait_a_little();
        out << second;
      });
      const ReadResult piped = test::read_documents({pipe_}, {.stop = &stop_});
      writer.join();
      EXPECT_EQ(piped.documents, test::read_documents({scratch_.write("file", first + second)}, {}).documents)
          << first.size() << " and " << second.size() << " bytes";
    }
  }
}

}  // namespace
}  // namespace bertcram::data
