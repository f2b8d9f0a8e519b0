#include "serve/json_writer.h"

#include <fmt/format.h>

#include <cmath>

namespace tapeline::serve {
namespace {

/// "189.120000" -> "189.12".
std::string_view without_zeros(std::string_view decimal) {
  if (decimal.find('.') == std::string_view::npos) return decimal;
  while (decimal.back() == '0') decimal.remove_suffix(1);
  if (decimal.back() == '.') decimal.remove_suffix(1);
  return decimal;
}

}  // namespace

void JsonWriter::separate() {
  if (!first_) out_ += ',';
  first_ = false;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  text::append_json_string(out_, name);
  out_ += ':';
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  text::append_json_string(out_, text);
  return *this;
}

JsonWriter& JsonWriter::value(std::int64_t number) {
  const fmt::format_int text(number);
  return raw({text.data(), text.size()});
}

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return raw("null");
  separate();
  fmt::format_to(std::back_inserter(out_), "{}", number);
  return *this;
}

JsonWriter& JsonWriter::value(Price price) { return raw(price.text()); }

JsonWriter& JsonWriter::value(Timestamp at) {
  separate();
  out_ += '"';
  out_ += format_rfc3339(at);
  out_ += '"';
  return *this;
}

JsonWriter& JsonWriter::value(Date date) {
  separate();
  out_ += '"';
  out_ += format_date(date);
  out_ += '"';
  return *this;
}

JsonWriter& JsonWriter::value(const warehouse::Value& cell) {
  return std::visit(
      [this](const auto& of) -> JsonWriter& {
        using T = std::decay_t<decltype(of)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          return value(nullptr);
        else if constexpr (std::is_same_v<T, warehouse::Decimal>)
          return raw(without_zeros(of.text));
        else
          return value(of);
      },
      cell);
}

}  // namespace tapeline::serve
