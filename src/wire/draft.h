// What both ways of reading a message produce, before it is judged against the
// directory and the time of appending.

#pragma once

#include "wire/message.h"

namespace tapeline::wire {

struct Draft {
  QuoteView row;
  bool has_schema_version = false;
  bool zone_assumed = false;
  bool price_rounded = false;
  bool field_dropped = false;

  friend bool operator==(const Draft&, const Draft&) = default;
};

}  // namespace tapeline::wire
