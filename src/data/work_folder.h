#pragma once
// What an interrupted pack goes on from: its spill files and how far they reach.

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bertcram/data/document_reader.h"
#include "bertcram/data/packer.h"
#include "bertcram/util/stop.h"
#include "spill_file.h"

namespace bertcram::data {

/// How far the first pass of packing has come.
struct PackProgress {
  PackCounts counts;
  ReaderPosition position;
};

/// What becomes of the saved work of another request, or on other files.
enum class Foreign {
  kRefuse,  ///< ConfigError: it may be hours
  kDrop,
};

/// The folder `.work` in an output folder. save() makes the spill files of that moment and the progress belong together;
/// a later session of the same request on the same files finds them, whatever ended this one. Without a save() nothing
/// of it remains.
/// REQUIRES: nobody else writes to the output folder meanwhile (hold its DirectoryLock).
class WorkFolder {
 public:
  /// @param request  what besides the files decides the content, see pack_request
  /// Damaged work is dropped, with a warning. @throws ResourceError, ConfigError; util::StoppedError, which leaves all as it is
  WorkFolder(const std::filesystem::path& output, std::string request, std::vector<std::filesystem::path> files,
             Foreign foreign, const util::StopFlag& stop);
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  /// What was saved last, by this session or an earlier one; empty if nothing was.
  const PackProgress& saved() const { return saved_; }
  bool has_saved() const { return has_saved_; }

  /// The spill file of this name, as it was when saved. It lives as long as the folder.
  SpillFile& spill(const std::string& name, size_t buffer_bytes);
  /// REQUIRES: no append() runs. Does nothing where an input, such as a pipe, cannot be read again. @throws ResourceError
  void save(const PackProgress& progress);
  /// Gives the disk space back.
  void remove();

  /// Removes what a session left that was killed after it had published. Takes the lock if there is anything.
  static void remove_leftover(const std::filesystem::path& output);

 private:
  void load(Foreign foreign, const util::StopFlag& stop);
  bool take_spills(const nlohmann::json& stored, const util::StopFlag& stop);
  nlohmann::json begun(const ReaderPosition& position) const;

  std::filesystem::path folder_;
  std::string request_;
  std::vector<std::filesystem::path> files_;
  bool is_repeatable_;                  ///< all inputs are files
  std::vector<nlohmann::json> stamps_;  ///< of the files, before anything was read
  bool has_saved_ = false;
  PackProgress saved_;
  std::map<std::string, KeptSpill> kept_;  ///< of each spill file that was saved
  std::map<std::string, std::unique_ptr<SpillFile>> spills_;
};

}  // namespace bertcram::data
