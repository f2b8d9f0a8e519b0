#include "ingest/conditions.h"

#include <array>

namespace tapeline::ingest {
namespace {

// source: AlgoSeek's condition bits for US equities
constexpr std::uint32_t kExtendedHours = 0x400 | 0x2000 | 0x4000;  // form T and extended hours
constexpr std::uint32_t kClosingPrint = 0x80;

struct TableRow {
  std::uint32_t bits;
  Touches touches;
};

/// The first row with a bit of the print's decides; without one it touches everything.
constexpr std::array kAlgoSeek{
    // Official close and official open: reports.
    TableRow{0x1000000 | 0x4000000, {.last = false, .high_low = false, .volume = false}},
    // Cash, next day, seller, derivatively priced, stock-option, average price, prior reference
    // price: real shares at a price that is not the market's now.
    TableRow{0x2 | 0x4 | 0x8 | 0x200 | 0x40000 | 0x100000 | 0x2000000,
             {.last = false, .high_low = false, .volume = true}},
};

constexpr auto kClosingPrintsUntil = std::chrono::minutes(10);  // after the close

}  // namespace

std::optional<ConditionRule> condition_rule_from_text(std::string_view text) {
  if (text == "plain") return ConditionRule::plain;
  if (text == "algoseek") return ConditionRule::algoseek;
  return std::nullopt;
}

Touches judge(ConditionRule rule, const Trade& trade, const Calendar& calendar,
              const std::optional<SessionHours>& hours) {
  const Timestamp at = trade.event_time;
  const bool in_session = hours && hours->open <= at && at < hours->close;
  Touches touches;
  if (rule == ConditionRule::algoseek) {
    for (const auto& row : kAlgoSeek)
      if ((trade.conditions & row.bits) != 0) {
        touches = row.touches;
        break;
      }
    if (trade.suspicious) touches = kAlgoSeek[0].touches;
  }
  touches.session = in_session ? Session::regular : calendar.session_at(at);
  if (rule == ConditionRule::plain) return touches;

  const bool extended = (trade.conditions & kExtendedHours) != 0;
  const bool closing = (trade.conditions & kClosingPrint) != 0;
  if (in_session && extended) touches.session = Session::post;
  if (closing && !extended && hours && at >= hours->close &&
      at <= hours->close + kClosingPrintsUntil)
    touches.session = Session::regular;
  return touches;
}

}  // namespace tapeline::ingest
