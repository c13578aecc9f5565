// A user's command: whatever it does, we go on.

#include "bertcram/util/shell_command.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "util/test_support.h"

namespace bertcram::util {
namespace {

using End = ShellOutcome::End;
using Clock = std::chrono::steady_clock;
using test::contains;
using test::read_bytes;
using test::ScratchDirectory;

ShellOutcome run(const std::string& command, const std::string& input = "",
                 std::chrono::milliseconds most = std::chrono::seconds(60)) {
  const auto end = Clock::now() + most;
  return run_shell_command(command, input, [end] { return end; });
}

TEST(ShellCommand, GetsItsInputAndGivesItsOutput) {
  const ShellOutcome outcome = run("cat; echo to stderr >&2", "one\ntwo\n");
  EXPECT_TRUE(outcome.is_good()) << outcome.text();
  EXPECT_EQ(outcome.output, "one\ntwo\nto stderr\n");
}

TEST(ShellCommand, WordsAreQuotedWhereTheyNeedIt) {
  EXPECT_EQ(shell_quoted("/runs/a-1/model"), "/runs/a-1/model");
  for (const char* word : {"", "a b", "it's", "$HOME", "a\nb", "*"}) {
    EXPECT_EQ(run(std::string("printf %s ") + shell_quoted(word)).output, word);
  }
}

TEST(ShellCommand, SaysHowItFailed) {
  EXPECT_EQ(run("echo first; echo 'no such host' >&2; exit 7").text(), "exit status 7: no such host");
  EXPECT_EQ(run("exit 3").text(), "exit status 3");
  EXPECT_TRUE(contains(run("/no/such/program --now").text(), "exit status 127: "));
  const ShellOutcome killed = run("kill -9 $$");
  EXPECT_EQ(killed.end, End::kKilled);
  EXPECT_EQ(killed.text(), "killed by signal 9");
}

TEST(ShellCommand, InputThatNobodyReadsHarmsNothing) {
  const std::string more_than_a_pipe_holds(4'000'000, 'x');
  EXPECT_TRUE(run("exit 0", more_than_a_pipe_holds).is_good());
  EXPECT_TRUE(run("exec <&-; exit 0", more_than_a_pipe_holds).is_good());
  EXPECT_EQ(run("wc -c", more_than_a_pipe_holds).output, "4000000\n");
}

TEST(ShellCommand, IsKilledWithItsChildrenWhenItTakesTooLong) {
  const ScratchDirectory scratch;
  const auto child = scratch / "child";
  const auto begun = Clock::now();
  const ShellOutcome outcome =
      run(cat("sleep 1000 & echo $! > ", child.string(), "; sleep 1000"), "", std::chrono::milliseconds(500));
  EXPECT_EQ(outcome.end, End::kTimedOut);
  EXPECT_EQ(outcome.text(), "it took too long and was killed");
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(30));
  const std::string number = read_bytes(child);
  ASSERT_FALSE(number.empty());
  // Gone, or a zombie until whoever inherited it looks.
  const auto is_alive = [&] {
    return run(cat("case $(cut -d' ' -f3 /proc/", std::stoi(number), "/stat) in [RSD]) exit 0;; esac; exit 1"))
        .is_good();
  };
  for (int look = 0; look < 100 && is_alive(); ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_FALSE(is_alive());
}

TEST(ShellCommand, OfAFloodOfOutputTheEndIsKept) {
  const ShellOutcome outcome = run("yes | head -c 3000000; echo the end; exit 3");
  EXPECT_LE(outcome.output.size(), 66'000U);
  EXPECT_EQ(outcome.text(), "exit status 3: the end");
}

TEST(ShellCommand, AFloodFromTheBackgroundIsNotWaitedFor) {
  const auto begun = Clock::now();
  EXPECT_TRUE(run("timeout 20 yes & exit 0").is_good());
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(15));
}

TEST(ShellCommand, WhatItLeavesInTheBackgroundIsNotWaitedFor) {
  const auto begun = Clock::now();
  EXPECT_TRUE(run("sleep 20 & exit 0").is_good());
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(15));
}

TEST(ShellCommand, InheritsNeitherDescriptorsNorBlockedOrIgnoredSignals) {
  const ScratchDirectory scratch;
  const int held = ::open(scratch.write("lock", "").c_str(), O_RDONLY);  // without O_CLOEXEC, as libraries may
  ASSERT_GT(held, 2);
  const auto handler = std::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked{};
  sigset_t before{};
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
  const ShellOutcome files = run("ls -l /proc/self/fd");
  const ShellOutcome signals = run("grep SigBlk /proc/self/status; kill -PIPE $$; echo still here");
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::signal(SIGPIPE, handler);
  ::close(held);
  EXPECT_FALSE(contains(files.output, scratch.path().string())) << files.output;
  EXPECT_EQ(signals.output, "SigBlk:\t0000000000000000\n");
  EXPECT_EQ(signals.code, SIGPIPE);
}

TEST(ShellCommand, HasASessionOfItsOwn) {
  const ShellOutcome outcome = run("cut -d' ' -f6 /proc/$$/stat; echo $$");  // session, process
  const size_t line = outcome.output.find('\n');
  EXPECT_EQ(outcome.output.substr(0, line + 1), outcome.output.substr(line + 1));
}

}  // namespace
}  // namespace bertcram::util
