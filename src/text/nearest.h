// What a word that nobody knows may have been meant to be.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tapeline::text {

/// The name that is fewest edits (Levenshtein) from `word`: at most a third of its letters, or two,
/// and not all of them. Empty if there is none; the first of several.
std::string nearest(std::string_view word, const std::vector<std::string>& names);

}  // namespace tapeline::text
