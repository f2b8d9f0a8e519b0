// What the conditions of a print let it touch, by vendor.

#pragma once

#include <optional>
#include <string_view>

#include "market/calendar.h"
#include "market/quote.h"

namespace tapeline::ingest {

/// Whose condition bits a trade carries.
///
/// `plain`: none: every print counts, and its session is by time alone
/// `algoseek`: AlgoSeek's bits for the consolidated tape
enum class ConditionRule : std::uint8_t { plain, algoseek };

/// Reads "plain" or "algoseek".
std::optional<ConditionRule> condition_rule_from_text(std::string_view text);

/// What a print counts for. One that touches nothing is a report, not a trade.
struct Touches {
  bool last = true;
  bool high_low = true;
  bool volume = true;
  Session session = Session::regular;

  bool nothing() const { return !last && !high_low && !volume; }
};

/// Judges one print.
///
/// holds: by AlgoSeek's rule a suspicious print and the official open and close touch nothing; an
///        extended-hours print inside the session is `post`; a closing print up to ten minutes
///        after the close is `regular`
Touches judge(ConditionRule rule, const Trade& trade, const Calendar& calendar,
              const std::optional<SessionHours>& hours);

}  // namespace tapeline::ingest
