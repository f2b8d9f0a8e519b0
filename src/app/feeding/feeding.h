// Feeding: a feed, its producer, and what they need of the process that owns the data directory.
//
// That process may be another one: all that a feed needs of it goes through FeedHost. Producers
// of one group share its symbols by the partition of their keys; which are theirs they are told
// as they say how they are.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/feeding/feed_ground.h"
#include "app/feeding/feed_report.h"
#include "app/members/leases.h"
#include "feeds/feed.h"
#include "ingest/producer.h"

namespace tapeline::feeds::finnhub {
class FinnhubFeed;
}

namespace tapeline::app {

/// What a producer may work on.
struct FeedShare {
  std::vector<std::int32_t> partitions;
  std::int32_t of = 1;
  std::vector<Symbol> followed;  // those of the data directory

  bool all() const { return std::ssize(partitions) == of; }
};

/// The process that owns the data directory, as a feed sees it.
class FeedHost {
 public:
  virtual ~FeedHost() = default;

  virtual msglog::RecordSink& log() = 0;
  virtual Result<FeedGround> ground(const GroundRequest& request) = 0;

  /// As app::each_of_today.
  virtual Status each_of_today(Timestamp now, const std::function<void(const Quote&)>& use) = 0;

  /// Says how the feed is; hears what it may work on for the length of a lease.
  virtual Result<FeedShare> renew(const Leases::Member& member, const FeedReport& report) = 0;

  /// Writes a gap down.
  virtual Status on_gap(const feeds::Gap& gap) = 0;
};

/// lifetime: host and surroundings must outlive it
/// threads:  one at a time
class Feeding {
 public:
  /// What a feed has given and no host has taken.
  struct Carried {
    std::vector<msglog::Record> records;
    std::vector<feeds::Gap> gaps;
  };
  struct Surroundings {
    Clock& clock;  // the process's; the feed may have one of its own
    io::FileSystem& files;
    telemetry::Metrics& metrics;
    const Config& config;
    const Calendar& calendar;
  };
  struct Options {
    std::string feed;          // simulator, finnhub, replay
    std::string name;          // of the member of the group
    bool own_symbols = false;  // those of the configuration, not those that the directory follows
    std::string lock_folder;   // finnhub: where the user's processes agree on who uses a key
    std::unique_ptr<feeds::Feed> replay;  // what to play; it is shared with nobody
    ingest::ConditionRule conditions = ingest::ConditionRule::plain;
    Duration renew_every = std::chrono::seconds(1);
    Carried carried;  // of a Feeding before this one, whose host went away
  };

  /// errors: invalid_argument (configuration)
  static Result<std::unique_ptr<Feeding>> make(const Surroundings& surroundings, FeedHost& host,
                                               Options options);
  ~Feeding();

  /// Takes its place and starts, where there is something for it. Done by the first step too.
  /// errors: as step
  Status begin();

  /// One bounded piece of work; how long to rest then.
  /// errors: those of host, feed and log; the next step goes on where this one was
  Result<Duration> step();

  /// Hands on what it has read, when it has made its last step.
  /// errors: the host's; what is left is carried
  Status flush();

  /// For the next one, when this has made its last step.
  Carried take_carried();

  const FeedReport& report() const { return report_; }
  const std::string& group() const { return member_.group; }

 private:
  Feeding(const Surroundings& surroundings, FeedHost& host, Options options);
  Status check();
  Result<GroundRequest> ground_request();
  Status hand_on_carried();
  Status renew();
  Status start();
  Result<std::unique_ptr<feeds::Feed>> make_feed(const FeedGround& ground);
  void end();
  bool is_ours(const Symbol& symbol) const;
  Clock& clock() { return clock_ ? *clock_ : its_.clock; }

  const Surroundings its_;
  FeedHost& host_;
  Options options_;
  std::unique_ptr<Clock> clock_;  // where the feed has one of its own
  std::vector<Symbol> configured_;
  Leases::Member member_;
  FeedShare share_;
  Duration renew_at_{0};
  FeedReport report_;
  std::unique_ptr<feeds::Feed> feed_;
  feeds::finnhub::FinnhubFeed* finnhub_ = nullptr;  // feed_, where it is that
  std::unique_ptr<ingest::ProducerProbe> probe_;
  std::unique_ptr<ingest::Producer> producer_;
};

}  // namespace tapeline::app
