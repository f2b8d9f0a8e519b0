// The Python modules that dbt hands to templates, as far as SQL is written with them:
// modules.datetime (date, datetime) and modules.re.

#pragma once

#include "base/clock.h"
#include "base/time_text.h"
#include "jinja/value.h"

namespace tapeline::transform {

/// Python's datetime.date, with strftime, isoformat, year, month, day.
jinja::Value date_value(Date date);

/// Python's datetime.datetime, of no zone. `zoned` prints +00:00 after it.
jinja::Value datetime_value(Timestamp at, bool zoned = false);

/// What `modules` is. `clock` must outlive it.
jinja::Value modules_value(const Clock& clock);

}  // namespace tapeline::transform
