// Finnhub's feed, wired: configured, restored from what the data directory has, and its state as
// page and command line show it.

#pragma once

#include <memory>
#include <string>

#include "app/pipeline.h"
#include "feeds/finnhub/finnhub_feed.h"
#include "ingest/producer.h"

namespace tapeline::app {

/// The clock of `debug.clock`, START,SPEED[,SINCE]; nullptr where that is not set.
/// errors: invalid_argument: what has not the form
Result<std::unique_ptr<Clock>> debug_clock(Clock& real, const Config& config);

/// Makes the feed. `lock_folder` is where the user's processes agree on who uses a key.
/// errors: invalid_argument: no key, a setting of finnhub.* that cannot be, or a made-up clock for
///         the vendor's own servers
Result<std::unique_ptr<feeds::finnhub::FinnhubFeed>> make_finnhub(Pipeline& pipeline, Clock& clock,
                                                                  const std::string& lock_folder);

/// Hands feed and producer what the newest session has of this feed: raw rows and what the
/// topic holds unloaded. Never history.
Status restore_finnhub(Pipeline& pipeline, Clock& clock, feeds::finnhub::FinnhubFeed& feed,
                       ingest::Producer& producer);

/// Keeps until when nothing is missing, for the next start's gap.
Status keep_alive_at(Pipeline& pipeline, const feeds::finnhub::FeedState& state, state::Sync sync);

/// {"state","error","last_frame_at","backoff_seconds","over_limit","symbols":[{"symbol","path"}]}
text::Value state_value(const feeds::finnhub::FeedState& state);

}  // namespace tapeline::app
