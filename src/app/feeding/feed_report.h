// FeedReport: what a feed says of itself, for page and command line, and from one process to
// another.

#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "feeds/feed.h"
#include "text/value.h"

namespace tapeline::app {

struct FeedReport {
  std::string name = "none";
  std::string feed_class = "none";  // simulated, replay, live, none
  std::string state = "stopped";    // live, stopped, standby, reconnecting, …
  std::string error;                // its newest trouble; empty while all is well
  std::string faults;               // what the simulator does wrong, as configured
  std::int64_t records = 0;         // appended since its process began
  std::optional<Timestamp> last_frame_at;
  std::optional<Timestamp> alive_at;  // until when, for sure, nothing is missing
  double backoff_seconds = 0;
  std::vector<std::pair<std::string, std::string>> symbols;  // with the way that prices come

  /// Of the symbols, those that the vendor does not stream to this key.
  std::int64_t over_limit() const;

  friend bool operator==(const FeedReport&, const FeedReport&) = default;
};

/// Several feeds of one directory, as one: what is wrong with any of them is wrong.
FeedReport together(const std::vector<FeedReport>& reports);

/// {"state","error","last_frame_at","backoff_seconds","over_limit","symbols":[{"symbol","path"}]}
text::Value state_value(const FeedReport& report);

/// All of it, and back.
text::Value to_value(const FeedReport& report);
FeedReport feed_report(const text::Value& value);

text::Value to_value(const feeds::Gap& gap);
/// errors: invalid_argument
Result<feeds::Gap> gap_of(const text::Value& value);

}  // namespace tapeline::app
