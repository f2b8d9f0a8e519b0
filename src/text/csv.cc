#include "text/csv.h"

#include <fmt/format.h>

namespace tapeline::text {

Status CsvRecord::split(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  fields_.clear();
  if (line.find('"') != std::string_view::npos) return split_quoted(line);
  for (;;) {
    const auto comma = line.find(',');
    fields_.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return Ok{};
    line.remove_prefix(comma + 1);
  }
}

Status CsvRecord::split_quoted(std::string_view line) {
  const auto broken = [](std::string_view what, std::size_t at) {
    return Error{ErrorCode::corrupt, fmt::format("{} at character {}", what, at + 1),
                 "Write a quote inside a quoted field twice, and keep a row on one line."};
  };
  unquoted_.clear();
  unquoted_.reserve(line.size());  // views into it must stay good
  std::size_t at = 0;
  for (;;) {
    const std::size_t begin = at;
    if (at < line.size() && line[at] == '"') {
      const std::size_t first = unquoted_.size();
      for (++at;; ++at) {
        if (at >= line.size()) return broken("a quote is not closed", begin);
        if (line[at] != '"') {
          unquoted_.push_back(line[at]);
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          unquoted_.push_back('"');
          ++at;
        } else {
          break;
        }
      }
      ++at;
      fields_.push_back(std::string_view(unquoted_).substr(first));
      if (at < line.size() && line[at] != ',') return broken("text follows a closed quote", at);
    } else {
      while (at < line.size() && line[at] != ',') {
        if (line[at] == '"') return broken("a quote stands inside a field", at);
        ++at;
      }
      fields_.push_back(line.substr(begin, at - begin));
    }
    if (at >= line.size()) return Ok{};
    ++at;
  }
}

std::string_view without_byte_order_mark(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  return text;
}

}  // namespace tapeline::text
