// Files are replaced in one step or not at all; what cannot be read or written is said so.

#include "bertcram/util/file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "util/test_support.h"

namespace bertcram::util {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;

std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  const ScratchDirectory scratch;
  {
    AtomicFile file(scratch / "out");
    file.write("half of it");
  }
  EXPECT_TRUE(names_in(scratch.path()).empty());
}

TEST(AtomicFile, LeavesTheOldFileWithoutCommit) {
  const ScratchDirectory scratch;
  scratch.write("out", "old");
  {
    AtomicFile file(scratch / "out");
    file.write("new");
    EXPECT_EQ(read_file(scratch / "out"), "old");
  }
  EXPECT_EQ(read_file(scratch / "out"), "old");
}

TEST(AtomicFile, ReplacesTheOldFileInOneStep) {
  const ScratchDirectory scratch;
  scratch.write("out", "old and longer");
  const MappedFile reader(scratch / "out");  // whoever reads the old file goes on reading it
  AtomicFile file(scratch / "out");
  file.write("new");
  EXPECT_EQ(read_file(scratch / "out"), "old and longer");
  file.commit();
  EXPECT_EQ(read_file(scratch / "out"), "new");
  EXPECT_EQ(reader.text(), "old and longer");
  EXPECT_EQ(names_in(scratch.path()), (std::vector<std::string>{"out"}));
}

TEST(AtomicFile, MakesMissingFoldersAndOverwritesEarlierBytes) {
  const ScratchDirectory scratch;
  AtomicFile file(scratch / "a/b/out");
  file.write("....rest");
  file.write_at(0, std::as_bytes(std::span(std::string_view("head"))));
  EXPECT_EQ(file.size_bytes(), 8U);
  EXPECT_THROW(file.write_at(6, std::as_bytes(std::span(std::string_view("head")))), InternalError);
  file.commit();
  EXPECT_EQ(read_file(scratch / "a/b/out"), "headrest");
}

TEST(AtomicFile, APlaceThatCannotBeWrittenIsAResourceError) {
  // Nothing can be made in /proc, not even by root.
  EXPECT_TRUE(contains(message_of<ResourceError>([] { AtomicFile("/proc/bertcram/out"); }), "/proc/bertcram"));
  EXPECT_TRUE(contains(message_of<ResourceError>([] { write_file_atomically("/proc/out", "x"); }), "/proc/out"));
}

TEST(AtomicFile, AFileInPlaceOfAFolderIsAResourceError) {
  const ScratchDirectory scratch;
  scratch.write("file", "");
  EXPECT_THROW(write_file_atomically(scratch / "file/out", "x"), ResourceError);
}

TEST(AtomicFile, AReadOnlyFolderIsAResourceError) {
  const ScratchDirectory scratch;
  std::filesystem::permissions(scratch.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const test::OrdinaryUser user(scratch);
  EXPECT_TRUE(contains(message_of<ResourceError>([&] { AtomicFile(scratch / "out"); }), "may write"));
}

TEST(AtomicFile, AFullDiskSaysHowMuchRoomThereIs) {
  const ScratchDirectory scratch;
  const std::string message = message_of<ResourceError>([&] { throw_write_error(scratch / "out", ENOSPC); });
  EXPECT_TRUE(contains(message, "No space left"));
  EXPECT_TRUE(contains(message, "free there"));
}

TEST(ReplaceFolder, ExchangesTheTwoOrMovesTheOneThatIsThere) {
  const ScratchDirectory scratch;
  const auto made = scratch.path() / "made";
  const auto place = scratch.path() / "place";
  scratch.write("made/file", "first");
  replace_folder(made, place);
  EXPECT_EQ(read_file(place / "file"), "first");
  EXPECT_FALSE(std::filesystem::exists(made));
  scratch.write("made/file", "second");
  replace_folder(made, place);
  EXPECT_EQ(read_file(place / "file"), "second");
  EXPECT_EQ(read_file(made / "file"), "first");
  EXPECT_THROW(replace_folder(scratch.path() / "missing", place), std::filesystem::filesystem_error);
  EXPECT_EQ(read_file(place / "file"), "second");
}

TEST(MappedFile, ShowsTheFile) {
  const ScratchDirectory scratch;
  MappedFile file(scratch.write("some", std::string("a\0b", 3)));
  EXPECT_EQ(file.text(), std::string_view("a\0b", 3));
  const MappedFile moved = std::move(file);
  EXPECT_EQ(moved.size(), 3U);
  EXPECT_EQ(MappedFile(scratch.write("none", "")).size(), 0U);
}

TEST(MappedFile, WhatCannotBeReadIsADataErrorThatNamesIt) {
  const ScratchDirectory scratch;
  EXPECT_TRUE(contains(message_of<DataError>([&] { MappedFile(scratch / "missing"); }), "missing"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { MappedFile(scratch.path()); }), "directory"));
  EXPECT_THROW(MappedFile("/dev/null"), DataError);
}

TEST(DirectoryLock, RefusesASecondHolderAndNamesTheFirst) {
  const ScratchDirectory scratch;
  const DirectoryLock first(scratch.path(), "pack");
  const std::string message = message_of<ResourceError>([&] { DirectoryLock(scratch.path(), "pretrain"); });
  EXPECT_TRUE(contains(message, "pretrain: "));
  EXPECT_TRUE(contains(message, cat("pid ", ::getpid())));
}

TEST(DirectoryLock, IsFreeAfterItsHolderIsGone) {
  const ScratchDirectory scratch;
  { const DirectoryLock first(scratch.path(), "pack"); }
  EXPECT_NO_THROW(DirectoryLock(scratch.path(), "pack"));
}

TEST(DirectoryLock, VanishesWithAKilledProcess) {
  const ScratchDirectory scratch;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const DirectoryLock held(scratch.path(), "pack");
    [[maybe_unused]] const ssize_t told = ::write(ready[1], "x", 1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_TRUE(contains(message_of<ResourceError>([&] { DirectoryLock(scratch.path(), "pack"); }), cat("pid ", child)));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(DirectoryLock(scratch.path(), "pack"));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(DirectoryLock, AFolderThatIsNotThereIsAResourceError) {
  EXPECT_THROW(DirectoryLock("/proc/none", "pack"), ResourceError);
}

}  // namespace
}  // namespace bertcram::util
