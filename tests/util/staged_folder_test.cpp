// The content of a folder changes in one step, also for a process that is killed between any two of its calls.

#include "bertcram/util/staged_folder.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <map>
#include <thread>

#include "bertcram/util/file.h"
#include "util/test_support.h"

namespace bertcram::util {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;
using Content = std::map<std::string, std::string>;

Content content_of(const std::filesystem::path& folder) {
  Content content;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename() != ".lock") {
      content[entry.path().lexically_relative(folder).string()] = test::read_bytes(entry.path());
    }
  }
  return content;
}

const Content kOld = {{"seal", "old"}, {"a", "old a"}, {"gone", "old"}, {"sub/x", "old x"}, {"sub/y", "old y"}};
const Content kNew = {{"seal", "new"}, {"a", "new a"}, {"b", "new b"}, {"sub/x", "new x"}, {"foreign", "kept"}};

void write_old(const std::filesystem::path& folder) {
  for (const auto& [name, bytes] : kOld) {
    test::write_bytes(folder / name, bytes);
  }
  test::write_bytes(folder / "foreign", "kept");
}

void stage_new(const StagedFolder& staged) {
  for (const auto& [name, bytes] : kNew) {
    if (name != "foreign") {
      test::write_bytes(staged.staging() / name, bytes);
    }
  }
}

/// What a killed session leaves after everything was staged and `moves` of the names were moved, the seal last.
void leave_half_published(const std::filesystem::path& folder, size_t moves) {
  write_old(folder);
  const auto staging = folder / ".partial";
  for (const auto& [name, bytes] : kNew) {
    if (name != "foreign") {
      test::write_bytes(staging / name, bytes);
    }
  }
  test::write_bytes(staging / ".publish.json", R"({"seal": "seal", "obsolete": ["gone"]})");
  const std::vector<std::string> order = {"a", "b", "sub", "seal"};
  if (moves > 0) {
    std::filesystem::remove(folder / "seal");
    std::filesystem::remove(folder / "gone");
  }
  for (size_t i = 0; i < moves; ++i) {
    std::filesystem::remove_all(folder / order[i]);
    std::filesystem::rename(staging / order[i], folder / order[i]);
  }
}

TEST(StagedFolder, ReplacesTheOldContentAndKeepsForeignFiles) {
  const ScratchDirectory scratch;
  write_old(scratch.path());
  StagedFolder staged(scratch.path());
  stage_new(staged);
  staged.publish("seal", {"a", "gone", "sub"});
  EXPECT_EQ(content_of(scratch.path()), kNew);
  EXPECT_FALSE(std::filesystem::exists(staged.staging()));
}

TEST(StagedFolder, LeavesTheOldContentWithoutPublish) {
  const ScratchDirectory scratch;
  write_old(scratch.path());
  Content before = content_of(scratch.path());
  {
    const StagedFolder staged(scratch.path());
    stage_new(staged);
  }
  EXPECT_EQ(content_of(scratch.path()), before);
  EXPECT_FALSE(is_half_published(scratch.path()));
}

TEST(StagedFolder, DropsWhatAKilledSessionHadNotFinishedStaging) {
  const ScratchDirectory scratch;
  scratch.write("seal", "old");
  scratch.write(".partial/a", "half");
  EXPECT_FALSE(is_half_published(scratch.path()));
  StagedFolder staged(scratch.path());
  EXPECT_TRUE(content_of(staged.staging()).empty());
  EXPECT_EQ(test::read_bytes(scratch / "seal"), "old");
}

class HalfPublished : public ::testing::TestWithParam<size_t> {};

TEST_P(HalfPublished, IsRefusedByReadersAndFinishedByTheNextWriter) {
  const ScratchDirectory scratch;
  leave_half_published(scratch.path(), GetParam());
  EXPECT_TRUE(is_half_published(scratch.path()));
  const std::string message = message_of<DataError>([&] { refuse_half_published(scratch.path()); });
  EXPECT_TRUE(contains(message, scratch.path().string()));
  finish_publishing(scratch.path(), "test");
  EXPECT_EQ(content_of(scratch.path()), kNew);
  EXPECT_FALSE(is_half_published(scratch.path()));
}

TEST_P(HalfPublished, IsFinishedBeforeAnythingNewIsStaged) {
  const ScratchDirectory scratch;
  leave_half_published(scratch.path(), GetParam());
  { const StagedFolder staged(scratch.path()); }
  EXPECT_EQ(content_of(scratch.path()), kNew);
}

INSTANTIATE_TEST_SUITE_P(AfterEachMove, HalfPublished, ::testing::Values(0, 1, 2, 3));

TEST(HalfPublished, WithEveryFileInItsPlaceIsWhole) {
  const ScratchDirectory scratch;
  leave_half_published(scratch.path(), 4);
  EXPECT_FALSE(is_half_published(scratch.path()));
  refuse_half_published(scratch.path());
  { const StagedFolder staged(scratch.path()); }
  EXPECT_EQ(content_of(scratch.path()), kNew);
}

TEST(StagedFolder, RefusesAJournalThatNamesFilesElsewhere) {
  const ScratchDirectory scratch;
  scratch.write("outside", "kept");
  scratch.write("folder/.partial/seal", "new");
  for (const char* journal : {R"({"seal": "seal", "obsolete": ["../outside"]})",
                              R"({"seal": "../seal", "obsolete": []})", "not json", "{}"}) {
    SCOPED_TRACE(journal);
    scratch.write("folder/.partial/.publish.json", journal);
    EXPECT_TRUE(contains(message_of<DataError>([&] { const StagedFolder staged(scratch / "folder"); }), "damaged"));
    EXPECT_EQ(test::read_bytes(scratch / "outside"), "kept");
  }
}

TEST(HalfPublished, CanBeAskedWhileAWriterPublishes) {
  const ScratchDirectory scratch;
  const auto folder = scratch / "out";
  std::atomic<bool> is_done = false;
  std::jthread writer([&] {
    for (int i = 0; i < 100; ++i) {
      StagedFolder staged(folder);
      stage_new(staged);
      staged.publish("seal", {});
    }
    is_done = true;
  });
  while (!is_done) {
    EXPECT_NO_THROW((void)is_half_published(folder)) << "a journal may go while it is looked at";
  }
}

TEST(StagedFolder, DoesNotFinishWhatAnotherProcessIsAtWorkOn) {
  const ScratchDirectory scratch;
  leave_half_published(scratch.path(), 1);
  const DirectoryLock lock(scratch.path(), "test");
  EXPECT_THROW(finish_publishing(scratch.path(), "test"), ResourceError);
}

}  // namespace
}  // namespace bertcram::util
