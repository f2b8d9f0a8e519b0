// Words as a person writes them: with blanks around them, several with commas between.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tapeline::text {

/// Without the spaces, tabs and carriage returns at both ends.
std::string_view trimmed(std::string_view text);

/// What stands between the commas, without the blanks around it; nothing of what is empty then.
std::vector<std::string> comma_list(std::string_view text);

}  // namespace tapeline::text
