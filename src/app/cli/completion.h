// Completion: what shells and `man` are told of the command line, from the table of commands.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tapeline::app {

/// A script that a shell reads: eval "$(tapeline completion bash)".
/// errors: invalid_argument for another shell than bash, zsh and fish
Result<std::string> completion_script(std::string_view shell);

/// docs/tapeline.1, whole.
std::string man_page();

}  // namespace tapeline::app
