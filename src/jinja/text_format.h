// Python's two ways to put values into a text: 'a %s' % x and 'a {}'.format(x).

#pragma once

#include <string>
#include <string_view>

#include "jinja/value.h"

namespace tapeline::jinja {

/// `format % values`. Throws Failure.
std::string percent_format(std::size_t bytes_max, std::string_view format, const Value& values);

/// `format.format(arguments)`. Throws Failure.
std::string brace_format(std::size_t bytes_max, std::string_view format,
                         const Arguments& arguments);

}  // namespace tapeline::jinja
