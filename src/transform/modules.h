// The Python modules that dbt hands to templates, as far as SQL is written with them:
// modules.datetime and modules.re.

#pragma once

#include "base/clock.h"
#include "jinja/value.h"

namespace tapeline::transform {

/// What `modules` is. `clock` must outlive it.
jinja::Value modules_value(const Clock& clock);

}  // namespace tapeline::transform
