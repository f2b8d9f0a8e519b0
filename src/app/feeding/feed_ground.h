// FeedGround: what a feed goes on from: how far each symbol has got, which holes are open, what the
// day has had so far. Only the owner of the data directory can look; a feed may run in another
// process, so it travels as JSON.

#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/pipeline.h"
#include "feeds/feed.h"
#include "market/quote.h"

namespace tapeline::app {

/// The group of the producers of the symbols that the directory follows.
constexpr std::string_view kFinnhubGroup = "finnhub";

/// What a feed asks for.
struct GroundRequest {
  std::string feed;   // simulator, finnhub
  std::string group;  // of producers that share its symbols; see members/leases.h
  Timestamp now;      // by the feed's own clock
  std::string start;  // simulator: kept with the data where these are new
  std::string seed;
};

struct FeedGround {
  std::string start;  // simulator: those of the data
  std::string seed;
  std::map<Symbol, Timestamp> last_event_times;
  std::vector<feeds::Gap> open_gaps;     // finnhub: left open by a run before
  std::optional<Timestamp> alive_until;  // nothing is missing before

  friend bool operator==(const FeedGround&, const FeedGround&) = default;
};

/// errors: those of log, warehouse and settings
Result<FeedGround> feed_ground(Pipeline& pipeline, const GroundRequest& request);

/// What Finnhub gave in the session of `now`, by event time: raw rows, and what the topic holds
/// unloaded. Never history.
Status each_of_today(Pipeline& pipeline, Timestamp now,
                     const std::function<void(const Quote&)>& use);

text::Value to_value(const FeedGround& ground);
/// errors: invalid_argument
Result<FeedGround> feed_ground(const text::Value& value);

text::Value to_value(const GroundRequest& request);
/// errors: invalid_argument
Result<GroundRequest> ground_request(const text::Value& value);

/// Keeps until when nothing is missing, for the next start's gap.
Status keep_alive_at(Pipeline& pipeline, const std::string& group, Timestamp alive_at,
                     state::Sync sync);

}  // namespace tapeline::app
