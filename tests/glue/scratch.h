#pragma once
// A temporary folder, small files in it, and the shared data: what the glue tests have in common.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "bertcram/util/error.h"

namespace bertcram::glue::testing {

/// A fresh folder that vanishes with the object.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "bertcram-glue-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~Scratch() { std::filesystem::remove_all(root_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& root() const { return root_; }

  /// Writes a file below the folder; its parents are made.
  std::filesystem::path write(const std::string& name, std::string_view content) const {
    const std::filesystem::path path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

 private:
  std::filesystem::path root_;
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
inline ::testing::AssertionResult contains(const std::string& text, std::string_view part) {
  if (text.find(part) != std::string::npos) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "'" << text << "' does not contain '" << part << "'";
}

}  // namespace bertcram::glue::testing
