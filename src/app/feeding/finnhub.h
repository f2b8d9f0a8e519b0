// Finnhub's feed, wired: configured, going on from what the data directory has, and its state as
// page and command line show it.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/feeding/feed_ground.h"
#include "app/feeding/feed_report.h"
#include "feeds/finnhub/finnhub_feed.h"

namespace tapeline::app {

/// The clock of `debug.clock`, START,SPEED[,SINCE]; nullptr where that is not set.
/// errors: invalid_argument: what has not the form
Result<std::unique_ptr<Clock>> debug_clock(Clock& real, const Config& config);

/// Whether the configuration makes a feed.
/// errors: invalid_argument: no key, a setting of finnhub.* that cannot be, or a made-up clock for
///         the vendor's own servers
Status check_finnhub(const Config& config);

struct FinnhubParts {
  const Config& config;
  const Calendar& calendar;
  io::FileSystem& files;
  telemetry::Metrics& metrics;
  Clock& clock;
  std::string lock_folder;  // where the user's processes agree on who uses a key
  std::function<std::vector<Symbol>()> symbols;  // which are wanted now
};

/// errors: as check_finnhub, unavailable
Result<std::unique_ptr<feeds::finnhub::FinnhubFeed>> make_finnhub(const FinnhubParts& parts,
                                                                  const FeedGround& ground);

void take_state(const feeds::finnhub::FeedState& state, FeedReport& report);

}  // namespace tapeline::app
