// Gaps: where a feed or a log has nothing, written down in raw_stocks.gaps.

#pragma once

#include "feeds/feed.h"
#include "warehouse/warehouse.h"

namespace tapeline::ingest {

/// Writes a gap: a new row, or the open one of the same feed, symbol and begin, grown or healed.
/// Writing it again changes nothing. A gap without a symbol is one of all of them, '*'.
/// errors: unavailable
Status record_gap(warehouse::Connection& connection, const feeds::Gap& gap);

}  // namespace tapeline::ingest
