// Produce: lines of a request become records of a topic.
//
// Each line's bytes are one record's value, as they are. The key is the line's `symbol` if it
// is a JSON object with one. A line {"key":...,"value_base64":...} stands for any other bytes.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "msglog/message_log.h"

namespace tapeline::serve {

constexpr std::size_t kProduceBytesMax = 8 << 20;

/// What one append can take of the records that `body` stands for; their lines are taken off it.
/// Empty lines are skipped. None are left if the answer is empty.
///
/// number: of the lines before, counted on
/// errors: invalid_argument, naming the line: a value_base64 that is none
Result<std::vector<msglog::Record>> next_records(std::string_view& body, std::size_t& number);

/// All the records that a body of lines stands for.
/// errors: invalid_argument, naming the line: no line at all, too many, or a value_base64 that
///         is none
Result<std::vector<msglog::Record>> records_of_lines(std::string_view body);

}  // namespace tapeline::serve
