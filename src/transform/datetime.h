// Python's datetime for templates: date, datetime and timedelta. dbt hands it to them as
// modules.datetime, and gives them a query's dates as such.
//
// source: docs.python.org/3.11/library/datetime.html; zones but UTC are not there

#pragma once

#include "base/clock.h"
#include "base/time_text.h"
#include "jinja/value.h"

namespace tapeline::transform {

/// A datetime.date.
jinja::Value date_value(Date date);

/// A datetime.datetime, of no zone; of UTC where `zoned`, which prints +00:00 after it.
jinja::Value datetime_value(Timestamp at, bool zoned = false);

/// The module. `clock` must outlive it.
jinja::Value datetime_module(const Clock& clock);

}  // namespace tapeline::transform
