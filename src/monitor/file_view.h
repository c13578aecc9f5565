#pragma once
// A file of a run, open for reading while somebody else may write, cut, replace or remove it.

#include <cstdint>
#include <filesystem>
#include <string>

namespace bertcram::monitor {

/// Tells two contents of a file apart without reading it; all zero if there is none.
struct FileStamp {
  int64_t size = 0;
  int64_t modified_ns = 0;
  uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};

class FileView {
 public:
  /// What is no regular file (a pipe, a device, a folder) counts as missing.
  /// @param within  a canonical folder; if given, a file that links lead out of it counts as missing too
  explicit FileView(const std::filesystem::path& path, const std::filesystem::path& within = {});
  ~FileView();
  FileView(const FileView&) = delete;
  FileView& operator=(const FileView&) = delete;

  bool is_open() const { return number_ >= 0; }
  int64_t size() const;
  FileStamp stamp() const;
  /// Up to `bytes` from the place on; fewer at the end of the file.
  std::string read(int64_t place, size_t bytes) const;

 private:
  void close();

  int number_;
};

/// Whether an absolute path without links, `.` and `..` is the folder's or of something in it.
bool lies_within(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace bertcram::monitor
