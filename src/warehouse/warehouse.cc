#include "warehouse/warehouse.h"

#include <fmt/format.h>

namespace tapeline::warehouse {

bool is_null(const Value& value) { return std::holds_alternative<std::monostate>(value); }

std::int64_t to_integer(const Value& value) {
  const auto* whole = std::get_if<std::int64_t>(&value);
  return whole ? *whole : 0;
}

std::string to_text(const Value& value) {
  struct Writer {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
    std::string operator()(std::int64_t whole) const { return fmt::format("{}", whole); }
    std::string operator()(double real) const { return fmt::format("{}", real); }
    std::string operator()(const Decimal& decimal) const { return decimal.text; }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(Date date) const { return format_date(date); }
    std::string operator()(Timestamp at) const { return format_rfc3339(at); }
  };
  return std::visit(Writer(), value);
}

std::string sql_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

}  // namespace tapeline::warehouse
