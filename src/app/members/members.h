// Members: the processes that work on one data directory, as its owner knows them.
//
// In memory: a new owner knows nobody, and each member tells it within a second.

#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "app/feeding/feed_report.h"
#include "app/members/leases.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace tapeline::app {

constexpr std::string_view kLoadGroup = "load";

/// threads: any
class Members {
 public:
  /// A lease that ends with this process: the owner's own.
  static constexpr Duration kForever = Duration::max();

  explicit Members(const Clock& clock) : clock_(clock) {}

  /// Joins or stays for `lease`; the partitions that it has.
  std::vector<std::int32_t> renew(const Leases::Member& member, std::int32_t partitions,
                                  Duration lease);
  void leave(std::string_view group, const std::string& name);

  /// The partitions that the DAG's own tasks load: those that no other process has. `own_name`: of
  /// the owner, where it shares them as a member does, and does not only take what is left.
  std::set<std::int32_t> loaded_here(std::int32_t partitions, const std::string& own_name);

  /// How a producer's feed is; forgotten with its lease.
  void report(const std::string& name, FeedReport report, Duration lease);

  /// All feeds that are heard of, as one.
  FeedReport feed() const;

  /// Those with a lease, by group and name.
  std::vector<MemberRow> list() const;

  /// What is to become of a gap that another process's feed reports.
  void on_gap(std::function<Status(const feeds::Gap&)> heard);
  Status take_gap(const feeds::Gap& gap);

 private:
  struct Heard {
    FeedReport report;
    Duration until;
  };
  struct State {
    Leases leases;
    std::map<std::string, Heard> feeds;
    std::int64_t records_gone = 0;  // of feeds that are forgotten
    std::function<Status(const feeds::Gap&)> gap_heard;
  };
  Duration end_of(Duration lease) const;

  const Clock& clock_;
  Guarded<State> state_;
};

}  // namespace tapeline::app
