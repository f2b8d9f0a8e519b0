// Calendars: on which New York dates there is a session, and from when to when.
//
// XNYS is the New York Stock Exchange, 1990 to 2040, by its rules plus the special
// closures and early closes that it announced; outside those years by the rules of the
// nearest ones. SIM is the simulated exchange's:
// every New York date is one regular session, from midnight to midnight.

#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/time_text.h"
#include "market/quote.h"

namespace tapeline {

enum class DayKind : std::uint8_t { regular, early_close, holiday, weekend };

constexpr std::string_view to_string(DayKind kind) {
  switch (kind) {
    case DayKind::regular: return "regular";
    case DayKind::early_close: return "early_close";
    case DayKind::holiday: return "holiday";
    case DayKind::weekend: return "weekend";
  }
  return "holiday";
}

/// The regular session of one New York date: open <= t < close.
struct SessionHours {
  Timestamp open;
  Timestamp close;
};

class Calendar {
 public:
  virtual ~Calendar() = default;

  /// "XNYS" or "SIM".
  virtual std::string_view name() const = 0;

  virtual DayKind kind(Date new_york_date) const = 0;

  /// None where the date has no session.
  virtual std::optional<SessionHours> hours(Date new_york_date) const = 0;

  /// The part of the day that `at` lies in, by time alone: `pre` from 04:00 New York to
  /// the open, `regular` from open to before close, `post` to 20:00 (early close: to 17:00), else
  /// `closed`. On a date without a session always `closed`.
  Session session_at(Timestamp at) const;

  /// The New York date and hour of an instant. Fast on a hot path.
  static Date new_york_date(Timestamp at);
  static int new_york_hour(Timestamp at);

  /// The first instant of a New York date.
  static Timestamp new_york_midnight(Date date);

  /// The nearest date with a session after (before) `date`.
  Date next_session(Date date) const;
  Date previous_session(Date date) const;
};

/// errors: not_found for another name than XNYS or SIM
/// threads: any may use what it returns
Result<std::shared_ptr<const Calendar>> make_calendar(std::string_view name);

}  // namespace tapeline
