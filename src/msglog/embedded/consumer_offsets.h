// How far each consumer group has got: one small file a group, replaced whole on each commit.
//
//   line := "next" blank topic-id "/" partition "/" offset        then the seal (sealed_text.h)

#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/guarded.h"
#include "io/file_system.h"
#include "msglog/message_log.h"

namespace tapeline::msglog {

/// threads:  any
/// lifetime: the file system outlives it
class ConsumerOffsets {
 public:
  ConsumerOffsets(io::FileSystem& files, std::string directory)
      : files_(files), directory_(std::move(directory)) {}

  /// errors: corrupt (a file is damaged), unavailable (the disk)
  Status load();

  /// blocks: until it survives a crash of the machine
  /// errors: invalid_argument (the group's name), unavailable (the disk; nothing has changed)
  Status commit(const std::string& group, const std::string& topic_id, std::int32_t partition,
                Offset next);

  std::optional<Offset> committed(const std::string& group, const std::string& topic_id,
                                  std::int32_t partition) const;

  /// Every group's offsets in a topic of so many partitions, by group and partition.
  std::vector<GroupOffset> of_topic(const std::string& topic_id, std::int32_t partitions) const;

 private:
  using Group = std::map<std::string, Offset>;  // by topic id and partition

  io::FileSystem& files_;
  const std::string directory_;
  Guarded<std::map<std::string, Group>> groups_;
  Guarded<Ok> writing_;  // one file at a time is replaced; readers do not wait for it
};

}  // namespace tapeline::msglog
