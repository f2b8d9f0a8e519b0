// ReplayFeed: files played as if they came live, merged by time, at real speed or many times it.
//
// Rows keep their event times. A trade is due at its time, a bar at its end. A row that stands
// behind a later one in its own file comes when it is reached.

#pragma once

#include "feeds/feed.h"
#include "feeds/file_rows.h"
#include "market/calendar.h"

namespace tapeline::feeds {

/// Reads "1x", "60x", "0.5x"; none for "max".
/// errors: invalid_argument
Result<std::optional<double>> parse_speed(std::string_view text);

/// owns:    nothing of clock and calendar, which must outlive it
/// threads: one at a time
class ReplayFeed final : public Feed {
 public:
  struct Options {
    FileRowsOptions rows;
    std::optional<double> speed = 1.0;  // times real time; none: as fast as it is taken
  };

  /// Checks every file and opens all of them; the first poll begins to play.
  /// errors: those of check_files
  static Result<ReplayFeed> open(Clock& clock, const Calendar& calendar,
                                 const std::vector<InputFile>& files, Options options);

  std::string_view name() const override { return "replay"; }
  std::string_view data_source() const override { return "replay"; }
  FeedClass feed_class() const override { return FeedClass::replay; }
  /// An error of a row ends the feed; what stands before it is given first.
  Result<FeedBatch> poll(std::size_t rows_max) override;
  bool finished() const override { return playing_.empty(); }

  const std::vector<std::string>& notes() const { return notes_; }

 private:
  /// A file and its next row.
  struct Playing {
    FileRows rows;
    Trade trade;
    Bar bar;
    Quote quote;
    Timestamp due;
  };

  ReplayFeed(Clock& clock, const Calendar& calendar, std::optional<double> speed)
      : clock_(clock), calendar_(calendar), speed_(speed) {}

  Result<bool> advance(Playing& file) const;
  Timestamp played_to() const;

  Clock& clock_;
  const Calendar& calendar_;
  std::optional<double> speed_;
  std::vector<std::string> notes_;
  std::vector<Playing> playing_;
  std::optional<Error> failure_;      // of the row after the newest one
  std::optional<Duration> begun_at_;  // of the clock's uptime
  Timestamp first_due_;
};

}  // namespace tapeline::feeds
