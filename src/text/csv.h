// CSV: one line to its fields, by RFC 4180.
//
// A field may stand in double quotes, with "" for a quote inside; a line break inside quotes is
// not read, since rows come in as lines. A line without a quote is split in place, and the same
// record is used for every row, so that nothing is allocated on the way.

#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tapeline::text {

/// The fields of the row that was split last.
class CsvRecord {
 public:
  /// Splits a line without its end; a trailing CR is not part of the last field.
  ///
  /// errors:   corrupt (a quote that is not closed or stands inside a field): the message
  ///           names the character's place in the line, from 1
  /// lifetime: fields() points into `line` or into this record, until the next call
  Status split(std::string_view line);

  std::span<const std::string_view> fields() const { return fields_; }

 private:
  Status split_quoted(std::string_view line);

  std::vector<std::string_view> fields_;
  std::string unquoted_;
};

/// A text without the byte order mark that some programs put first.
std::string_view without_byte_order_mark(std::string_view text);

}  // namespace tapeline::text
