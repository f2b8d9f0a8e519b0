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

constexpr std::size_t kProduceLinesMax = 10'000;
constexpr std::size_t kProduceBytesMax = 8 << 20;

/// The record that one line stands for; errors name it by its number.
/// errors: invalid_argument: a value_base64 that is none
Result<msglog::Record> record_of_line(std::string_view line, std::size_t number);

/// The records that a body of lines stands for; empty lines are skipped.
/// errors: invalid_argument, naming the line: no line at all, too many, or a value_base64 that
///         is none
Result<std::vector<msglog::Record>> records_of_lines(std::string_view body);

}  // namespace tapeline::serve
