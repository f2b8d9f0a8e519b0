// Leases: which process works on which partition of the topic, kept by the owner of the data
// directory, in memory.
//
// Members of a group share its partitions evenly. A partition goes to another member once the one
// that has it has heard so, by renewing, or is not heard of for the length of its lease. What a
// lease says is for sharing work; what must not happen twice is fenced where it happens (the
// loader's next_offset, the key of a row).

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace tapeline::app {

/// A process at work, for `tapeline status`.
struct MemberRow {
  std::string name;
  std::string group;  // "load", or of producers: feed and symbols
  std::vector<std::int32_t> partitions;
};

/// threads: one at a time
class Leases {
 public:
  struct Member {
    std::string group;
    std::string name;       // one of its group
    std::string exclusive;  // of those with the same, only the first works; empty: all work
  };

  /// Joins, or stays, until `until`; the partitions that it has from now on, in order.
  std::vector<std::int32_t> renew(const Member& member, std::int32_t partitions, Duration now,
                                  Duration until);

  /// What it had is free at once.
  void leave(std::string_view group, std::string_view name);

  /// Who has a partition; none where nobody does, or its lease is over.
  std::optional<std::string> holder(std::string_view group, std::int32_t partition,
                                    Duration now) const;

  /// Those with a lease, by group and name.
  std::vector<MemberRow> list(Duration now) const;

 private:
  struct Known {
    std::string name;
    std::string exclusive;
    Duration until;
  };
  struct Group {
    std::vector<Known> members;  // in the order in which they joined
    std::map<std::int32_t, std::string> holders;
  };

  std::map<std::string, Group, std::less<>> groups_;
};

}  // namespace tapeline::app
