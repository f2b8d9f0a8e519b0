#include "transform/values.h"
#include "transform/object.h"

#include <cmath>
#include <cstdlib>

#include "transform/datetime.h"

namespace tapeline::transform {
namespace {

/// A decimal that no plain number prints without loss or exponent.
class WideDecimal final : public jinja::HostObject {
 public:
  explicit WideDecimal(std::string text) : text_(std::move(text)) {}
  std::string type_name() const override { return "decimal.Decimal"; }
  std::string text() const override { return text_; }
  bool truth() const override { return text_.find_first_of("123456789") != std::string::npos; }
  bool equals(const HostObject& other) const override { return text_ == other.text(); }

 private:
  std::string text_;
};

jinja::Value decimal_value(const std::string& text) {
  const auto digits = text.size() - (text.starts_with('-') ? 1 : 0);
  if (text.find('.') == std::string::npos && digits <= 18)
    return static_cast<std::int64_t>(std::strtoll(text.c_str(), nullptr, 10));
  const double number = std::strtod(text.c_str(), nullptr);
  const double size = std::abs(number);
  if (digits <= 16 && (size == 0 || (size >= 1e-4 && size < 1e16))) return number;
  return host_value<WideDecimal>(text);
}

}  // namespace

jinja::Value to_jinja(const text::Value& value) {
  if (value.is_null()) return {};
  if (value.is_bool()) return value.as_bool();
  if (value.is_int()) return value.as_int();
  if (value.is_double()) return value.as_double();
  if (value.is_string()) return value.as_string();
  if (value.is_list()) {
    std::vector<jinja::Value> items;
    for (const auto& item : value.as_list()) items.push_back(to_jinja(item));
    return jinja::Value::list(std::move(items));
  }
  std::vector<std::pair<jinja::Value, jinja::Value>> members;
  for (const auto& [key, member] : value.as_object()) members.emplace_back(key, to_jinja(member));
  return jinja::Value::dict(std::move(members));
}

text::Value to_text_value(const jinja::Value& value) {
  if (value.is_none() || value.is_undefined()) return {};
  if (value.is_bool()) return value.as_bool();
  if (value.is_int()) return value.as_int();
  if (value.is_double()) return value.as_double();
  if (value.is_string()) return value.as_string();
  if (value.is_dict()) {
    text::Object members;
    for (const auto& [key, member] : value.as_dict())
      members.emplace_back(key.text(), to_text_value(member));
    return members;
  }
  if (value.is_list() || value.is_tuple()) {
    text::List items;
    for (const auto& item : items_of(value)) items.push_back(to_text_value(item));
    return items;
  }
  return value.text();
}

jinja::Value to_jinja(const warehouse::Value& value) {
  return std::visit(
      [](const auto& cell) -> jinja::Value {
        using T = std::decay_t<decltype(cell)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          return {};
        else if constexpr (std::is_same_v<T, warehouse::Decimal>)
          return decimal_value(cell.text);
        else if constexpr (std::is_same_v<T, Date>)
          return date_value(cell);
        else if constexpr (std::is_same_v<T, Timestamp>)
          return datetime_value(cell);
        else
          return jinja::Value(cell);
      },
      value);
}

jinja::Value argument(const jinja::Arguments& arguments, std::size_t position,
                      std::string_view name, jinja::Value fallback) {
  if (position < arguments.positional.size()) return arguments.positional[position];
  for (const auto& [key, value] : arguments.named)
    if (key == name) return value;
  return fallback;
}

std::string text_argument(const jinja::Arguments& arguments, std::size_t position,
                          std::string_view name) {
  const auto value = argument(arguments, position, name);
  return value.is_none() || value.is_undefined() ? "" : value.text();
}

std::vector<jinja::Value> items_of(const jinja::Value& value) {
  if (value.is_list()) return value.as_list();
  if (value.is_tuple()) return value.as_tuple();
  if (value.is_object()) return value.as_object()->iterate().value_or(std::vector<jinja::Value>{});
  if (value.is_dict()) {
    std::vector<jinja::Value> keys;
    for (const auto& [key, member] : value.as_dict()) keys.push_back(key);
    return keys;
  }
  return {};
}

}  // namespace tapeline::transform
