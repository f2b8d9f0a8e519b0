// Values between the three worlds of a dbt project: YAML and JSON, templates, the warehouse.

#pragma once

#include <string>

#include "base/time_text.h"
#include "jinja/value.h"
#include "text/value.h"
#include "warehouse/warehouse.h"

namespace tapeline::transform {

jinja::Value to_jinja(const text::Value& value);

/// Host objects become their text.
text::Value to_text_value(const jinja::Value& value);

/// A cell as a template of dbt sees it: a date prints 2025-01-04, an instant
/// 2025-01-04 14:30:00, a decimal without exponent.
jinja::Value to_jinja(const warehouse::Value& value);

/// A named or else the n-th argument; `fallback` where there is neither.
jinja::Value argument(const jinja::Arguments& arguments, std::size_t position,
                      std::string_view name, jinja::Value fallback = {});

/// The same as a text: "" for none and undefined.
std::string text_argument(const jinja::Arguments& arguments, std::size_t position,
                          std::string_view name);

/// A list's or tuple's items; for anything else that can be walked over, what it gives.
std::vector<jinja::Value> items_of(const jinja::Value& value);

}  // namespace tapeline::transform
