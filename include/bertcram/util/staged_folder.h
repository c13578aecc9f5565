#pragma once
// Folders whose files change together: a reader finds the old content, the new one, or is told to wait.

#include <filesystem>
#include <string>
#include <vector>

namespace bertcram::util {

/// Fills a folder as one step, whatever kills the process. Files are made in staging(), a folder `.partial` within it;
/// publish() moves them to their places. One of them, the seal (a manifest), makes the folder count: the old seal goes
/// before anything else changes, the new one comes last. From the moment when everything is staged, a session that is
/// killed is finished by the next StagedFolder of the same folder; before that, it leaves the folder as it was.
/// Files of other names in the folder are not touched.
/// REQUIRES: nobody else writes to the folder meanwhile (hold its DirectoryLock).
class StagedFolder {
 public:
  /// Makes the folder if there is none; finishes or removes what a killed session left. @throws ResourceError
  explicit StagedFolder(std::filesystem::path folder);
  /// Without publish() nothing of the staged files remains.
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const std::filesystem::path& staging() const { return staging_; }
  /// @param seal      name of the staged file that is moved last
  /// @param obsolete  names of files and folders of the old content; what is not staged anew is removed
  /// @throws ResourceError
  void publish(const std::string& seal, const std::vector<std::string>& obsolete);

 private:
  std::filesystem::path folder_;
  std::filesystem::path staging_;
};

/// Whether a session was killed between the first and the last move of publish(): the files are not one content.
bool is_half_published(const std::filesystem::path& folder);

/// Whether a killed session left anything that the next StagedFolder of the folder removes, its content being whole or not.
bool has_leftovers(const std::filesystem::path& folder);

/// For readers. @throws DataError if the folder is_half_published
void refuse_half_published(const std::filesystem::path& folder);

/// For writers that look at the old content first: finishes what is_half_published, under the folder's lock; otherwise
/// does nothing. @throws ResourceError also if another process uses the folder
void finish_publishing(const std::filesystem::path& folder, const std::string& purpose);

/// Refuses to write into a folder that holds something else: it has to be missing, empty but for hidden names, or have
/// a manifest.json whose "format" is `format` or cannot be read. @throws ConfigError, which names `what` is not there
void refuse_foreign_folder(const std::filesystem::path& folder, const std::string& format, const std::string& what);

}  // namespace bertcram::util
