#pragma once
// Files that are never half-written, and files that are read without copying.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace bertcram::util {

/// A whole file mapped read-only. Movable; the mapping ends with the object. Pages are loaded on demand.
class MappedFile {
 public:
  MappedFile() = default;
  /// @throws DataError if the file is missing, a directory, or unreadable
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  size_t size() const { return size_; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// What survives a power cut. Readers never see half a file either way.
enum class Durability {
  kOnDisk,    ///< on return the file is on the disk
  kVolatile,  ///< not waited for: for what is written again within seconds anyhow
};

/// Writes a file under a temporary name beside its final one; `commit` fsyncs it, renames it and fsyncs the folder.
/// Without `commit` nothing of it remains. Missing parent folders are made.
/// Every write failure is a ResourceError that names the file and says how much space is left.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Overwrites bytes written before, e.g. a header whose checksum is known only at the end.
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  uint64_t size_bytes() const { return size_bytes_; }
  void commit(Durability durability = Durability::kOnDisk);

 private:
  [[noreturn]] void fail(int error_number) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  uint64_t size_bytes_ = 0;
};

/// Replaces the file's content in one step. @throws ResourceError
void write_file_atomically(const std::filesystem::path& path, std::string_view content,
                           Durability durability = Durability::kOnDisk);

/// The whole file as a string. @throws DataError if missing or unreadable
std::string read_file(const std::filesystem::path& path);

/// Removes what sessions that were killed left of AtomicFiles and of replace_link in this folder (not below it). Only while
/// nobody else writes there: hold the DirectoryLock.
void remove_stale_temporaries(const std::filesystem::path& directory);

/// Lets a symbolic link lead to the target, in one step. Something else of that name stays, and so does everything where
/// the file system has no links: they are a convenience.
void replace_link(const std::filesystem::path& link, const std::filesystem::path& target);

/// Puts a folder in the place of another, if there is one, which then has the name of the first. In one step where the file
/// system can exchange names, so that there is a folder at every moment. Both are in one parent folder.
/// @throws std::filesystem::filesystem_error
void replace_folder(const std::filesystem::path& made, const std::filesystem::path& place);

/// Flushes a folder's entries (names made or removed in it) to disk.
void sync_directory(const std::filesystem::path& directory);

/// Puts on the disk what was written to the file system that holds the folder, by anybody. @throws ResourceError
void sync_filesystem(const std::filesystem::path& directory);

/// Makes the folder and its parents. @throws ResourceError if that is impossible or it cannot be written to.
void make_writable_directory(const std::filesystem::path& directory);

/// Writes all bytes, through short writes and interrupted calls. @return errno, or 0
int write_fully(int descriptor, std::span<const std::byte> bytes);

/// The error for a failed write: names the path, the reason and, for a full disk, the free space.
[[noreturn]] void throw_write_error(const std::filesystem::path& path, int error_number);

/// An advisory lock on a folder, held while the object lives; it vanishes with the process, however that ends.
class DirectoryLock {
 public:
  /// @throws ResourceError if another process holds it (names its process id)
  DirectoryLock(const std::filesystem::path& directory, const std::string& purpose);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace bertcram::util
