#pragma once
// What tests of all rooms share: a folder that cleans up, a seed that can be given back, and a look at error messages.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include "bertcram/util/error.h"

namespace bertcram::test {

namespace fs = std::filesystem;

/// The seed of a property test; BERTCRAM_TEST_SEED repeats a failure. Show it with SCOPED_TRACE(seed_note(seed)).
inline uint64_t test_seed() {
  const char* given = std::getenv("BERTCRAM_TEST_SEED");
  return given == nullptr ? 20240607 : std::strtoull(given, nullptr, 10);
}

inline std::string seed_note(uint64_t seed) { return cat("repeat with BERTCRAM_TEST_SEED=", seed); }

inline void write_bytes(const fs::path& path, std::string_view content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

inline std::string read_bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A folder of its own for one test, removed with the object.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (fs::temp_directory_path() / "bertcram-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error("no scratch directory: " + name);
    }
    path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const fs::path& path() const { return path_; }
  fs::path operator/(std::string_view name) const { return path_ / name; }
  fs::path write(std::string_view name, std::string_view content) const {
    write_bytes(path_ / name, content);
    return path_ / name;
  }

 private:
  fs::path path_;
};

/// While it lives, the process has no more rights than any user: root may read and write everything. The scratch folder
/// is opened for that user, who otherwise could not enter it.
class OrdinaryUser {
 public:
  explicit OrdinaryUser(const ScratchDirectory& scratch) : was_root_(::geteuid() == 0) {
    if (was_root_) {
      using enum fs::perms;  // the group stays root's
      fs::permissions(scratch.path(), group_read | group_exec | others_read | others_exec, fs::perm_options::add);
      EXPECT_EQ(::seteuid(kNobody), 0);
    }
  }
  ~OrdinaryUser() {
    if (was_root_) {
      EXPECT_EQ(::seteuid(0), 0);
    }
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;
  bool was_root_;
};

/// The message of the error of type Failure that `action` throws; a failed expectation if it throws none.
template <class Failure, class Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const Failure& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error of the expected type was thrown";
  return {};
}

/// Holds if `text` contains `part`.
inline ::testing::AssertionResult contains(std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "'" << text << "' does not contain '" << part << "'";
}

}  // namespace bertcram::test
