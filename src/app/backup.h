// Backup: a copy of a data directory that was taken while the pipeline ran, and its way back.
//
//   <backup>/data/...      the files, named as in the data directory
//            backup.json   the manifest: written last and all at once; without it there is none
//
// What fits together: state is taken first, then the warehouse as one transaction sees it, the log
// last. So the log has every record that the warehouse has loaded, and those above its offset are
// loaded after a restore. Tokens and secrets are not in it. docs/formats/backup.md is the format.

#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "app/pipeline.h"
#include "base/result.h"
#include "io/file_system.h"

namespace tapeline::app {

struct BackupFile {
  std::string path;  // below data/
  std::int64_t size_bytes = 0;
  std::string sha256;
};

/// A partition of the log in a backup, and how far the warehouse in it has loaded it.
struct BackupPartition {
  std::string topic;
  std::string topic_id;
  std::int32_t partition = 0;
  msglog::Offset first = 0;
  msglog::Offset end = 0;
  msglog::Offset loaded = 0;  // the next offset to load
};

struct BackupManifest {
  std::string created;  // RFC 3339
  std::string version;  // of the tapeline that took it
  std::int64_t layout = 0;
  DirectoryKind kind = DirectoryKind::market;
  std::int64_t load_id = 0;  // the last load of the warehouse
  std::vector<BackupPartition> partitions;
  std::vector<BackupFile> files;

  std::int64_t size_bytes() const;
  /// Records that are loaded after a restore.
  std::int64_t waiting() const;
};

/// Tells what is being done; `part` in [0, 1], below 0 where nobody knows.
using OnBackupProgress = std::function<void(std::string_view what, double part)>;

/// Takes a backup of a pipeline that may be loading, into a folder that is new or empty. What
/// did not become a backup is removed again.
/// errors: invalid_argument (the folder), unavailable (disk; the log dropped records meanwhile),
///         cancelled
Result<BackupManifest> create_backup(Pipeline& pipeline, const std::string& to,
                                     const OnBackupProgress& progress, std::stop_token stop);

/// errors: not_found (no backup, or one that was never finished), corrupt, unsupported (newer)
Result<BackupManifest> read_backup(io::FileSystem& files, const std::string& from);

/// Makes a data directory of a backup, at a path where nothing is yet or an empty folder. It is
/// there whole or not at all.
/// errors: already_exists (something is there, or another restore is at it), corrupt (a file is
///         not the one that was backed up), unavailable (disk), cancelled
Status restore_backup(io::FileSystem& files, const BackupManifest& manifest,
                      const std::string& from, const std::string& to,
                      const OnBackupProgress& progress, std::stop_token stop);

}  // namespace tapeline::app
