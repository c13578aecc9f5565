// A pack that is interrupted: the same command goes on from what was saved and ends with the same bytes.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "bertcram/data/packer.h"
#include "bertcram/util/json.h"
#include "data/packing_support.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;
using config::PackConfig;
using nlohmann::json;
using test::contains;
using test::message_of;
using test::pack;
using test::ScratchDirectory;

/// Names and bytes of everything in the folder and below but the lock.
std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename() != ".lock") {
      files[entry.path().lexically_relative(folder).string()] = test::read_bytes(entry.path());
    }
  }
  return files;
}

class PackResume : public ::testing::Test {
 protected:
  PackResume() {
    for (const char* const name : {"a.txt", "b.txt"}) {
      const auto documents = test::random_documents(seed_++, 50'000);
      config_.input.push_back(scratch_.write(name, test::joined(documents) + test::joined({documents[0]})).string());
    }
    config_.output = (scratch_ / "packed").string();
    config_.seq_len = 32;
    config_.shard_rows = 5000;
    config_.threads = 2;
    config_.save_every = 1;
  }

  /// What is saved, or null.
  json state() const {
    const fs::path path = fs::path(config_.output) / ".work" / "state.json";
    return fs::exists(path) ? json::parse(test::read_bytes(path)) : json();
  }

  /// Packs in a process of its own that the system kills where it lets a file grow beyond `file_bytes`.
  void pack_and_be_killed(rlim_t file_bytes) {
    const pid_t child = ::fork();
    if (child == 0) {
      const rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
      const rlimit limit = {.rlim_cur = file_bytes, .rlim_max = file_bytes};
      ::setrlimit(RLIMIT_CORE, &no_core);
      ::setrlimit(RLIMIT_FSIZE, &limit);
      pack(config_);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it was not killed";
    ASSERT_EQ(WTERMSIG(status), SIGXFSZ);
  }

  std::map<std::string, std::string> uninterrupted() {
    PackConfig config = config_;
    config.output = (scratch_ / "whole").string();
    config.threads = 1;
    pack(config);
    return files_of(config.output);
  }

  ::testing::ScopedTrace trace_{__FILE__, __LINE__, test::seed_note(test::test_seed())};
  uint64_t seed_ = test::test_seed();
  ScratchDirectory scratch_;
  PackConfig config_;
};

// Each of the 256 buckets gets about 1 / 256 of the tokens, two bytes each: some 10 KB per MiB of text, the fullest a third
// more than that at first and an eighth more later. state.json has 20 KB.
constexpr rlim_t kThirdSave = 30'000;
constexpr rlim_t kFourthSave = 42'000;

TEST_F(PackResume, AfterAKillTheSameCommandEndsWithTheSameBytes) {
  const auto expected = uninterrupted();
  for (const rlim_t limit : {kThirdSave, kFourthSave}) {
    fs::remove_all(config_.output);
    pack_and_be_killed(limit);
    ASSERT_GT(state().at("counts").at("documents_read"), 10'000);
    pack(config_);
    EXPECT_TRUE(files_of(config_.output) == expected) << limit;
  }
}

TEST_F(PackResume, TwoKillsAndAllFilters) {
  config_.filters.near_duplicates = 0.8;
  config_.filters.duplicate_paragraphs = true;
  config_.filters.min_chars = 20;
  const auto expected = uninterrupted();
  // The files of the bands are the largest ones: 16 bytes for each of the 17,000 documents per MiB that are not short.
  pack_and_be_killed(650'000);
  const int64_t before = state().at("counts").at("documents_read");
  pack_and_be_killed(1'100'000);
  EXPECT_GT(state().at("counts").at("documents_read"), before);
  pack(config_);
  EXPECT_TRUE(files_of(config_.output) == expected);
}

TEST_F(PackResume, FinishedInputIsNotReadAgain) {
  const auto expected = uninterrupted();
  pack_and_be_killed(kFourthSave);
  ASSERT_EQ(state().at("finished").size(), 1U);
  // The same size and time as before, but no text any more: read again, it would be refused.
  const fs::path first = config_.input[0];
  const auto modified = fs::last_write_time(first);
  test::write_bytes(first, std::string(fs::file_size(first), '\x01'));
  fs::last_write_time(first, modified);
  pack(config_);
  EXPECT_TRUE(files_of(config_.output) == expected);
}

TEST_F(PackResume, WorkOnChangedInputIsKeptUnlessToldOtherwise) {
  pack_and_be_killed(kThirdSave);
  test::write_bytes(config_.input[0], test::joined(test::random_documents(seed_, 1000)));
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { pack(config_); }), "files that have changed since; give that"));
  EXPECT_FALSE(state().is_null());
  config_.overwrite = true;
  pack(config_);
  EXPECT_TRUE(files_of(config_.output) == uninterrupted());
}

TEST_F(PackResume, WorkWithOtherOptionsIsKeptUnlessToldOtherwise) {
  pack_and_be_killed(kThirdSave);
  config_.filters.min_chars = 20;
  EXPECT_TRUE(
      contains(message_of<ConfigError>([&] { pack(config_); }), "unfinished work of a pack with other options"));
  EXPECT_FALSE(state().is_null());
  config_.overwrite = true;
  pack(config_);
  EXPECT_TRUE(files_of(config_.output) == uninterrupted());
}

TEST_F(PackResume, DamagedWorkStartsAnew) {
  const auto expected = uninterrupted();
  const fs::path work = fs::path(config_.output) / ".work";
  const std::vector<std::function<void()>> damages = {
      [&] { fs::resize_file(work / "bucket-5", 10); },
      [&] { fs::remove(work / "bucket-6"); },
      [&] {
        std::string bytes = test::read_bytes(work / "bucket-7");
        bytes[24] = static_cast<char>(bytes[24] ^ 1);
        test::write_bytes(work / "bucket-7", bytes);
      },
      [&] { test::write_bytes(work / "state.json", "{"); },
      [&] { test::write_bytes(work / "state.json", "{}"); },
      [&] {  // of another version, which may have meant something else by it
        auto other = state();
        other["version"] = 1;
        other["counts"]["documents_read"] = 1;
        test::write_bytes(work / "state.json", other.dump());
      },
  };
  for (const auto& damage : damages) {
    fs::remove_all(config_.output);
    pack_and_be_killed(kThirdSave);
    ASSERT_FALSE(state().is_null());
    damage();
    pack(config_);
    EXPECT_TRUE(files_of(config_.output) == expected);
  }
}

TEST_F(PackResume, AFullDiskKeepsWhatIsDone) {
  const auto expected = uninterrupted();
  rlimit unlimited{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  const rlimit limit = {.rlim_cur = kThirdSave, .rlim_max = unlimited.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto message = message_of<ResourceError>([&] { pack(config_); });
  ::setrlimit(RLIMIT_FSIZE, &unlimited);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(contains(message, "bucket-"));
  EXPECT_GT(state().at("counts").at("documents_read"), 10'000);
  pack(config_);
  EXPECT_TRUE(files_of(config_.output) == expected);
}

TEST_F(PackResume, NothingIsKeptBeforeTheFirstSave) {
  config_.save_every = 1024;
  config_.input.emplace_back(scratch_.write("c.txt", std::string(1000, '\x01')).string());
  message_of<DataError>([&] { pack(config_); });
  EXPECT_TRUE(files_of(config_.output).empty());
}

TEST_F(PackResume, AStopBeforeAnythingWasReadLeavesNothing) {
  util::StopFlag stop;
  stop.request(SIGTERM);
  message_of<util::StoppedError>(
      [&] { run_pack(config_, test::tiny_tokenizer(), {.stop = stop, .progress = util::ProgressStyle::kQuiet}); });
  EXPECT_TRUE(files_of(config_.output).empty());
}

}  // namespace
}  // namespace bertcram::data
