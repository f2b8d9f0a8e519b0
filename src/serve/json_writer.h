// JsonWriter: JSON written straight into one text, for answers with many numbers.
//
// text::to_json is for values; this is for rows and quotes, where a decimal must come out
// as it is, digit by digit, and nothing is worth building a tree for.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time_text.h"
#include "market/price.h"
#include "text/value.h"
#include "warehouse/warehouse.h"

namespace tapeline::serve {

/// holds: keys and values alternate inside objects; it is the caller who sees to that
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_list() { return open('['); }
  JsonWriter& end_list() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(bool flag) { return raw(flag ? "true" : "false"); }
  JsonWriter& value(std::int64_t number);
  JsonWriter& value(double number);  // the shortest text that reads back the same; NaN is null
  JsonWriter& value(Price price);    // an exact decimal
  JsonWriter& value(Timestamp at);
  JsonWriter& value(Date date);
  JsonWriter& value(std::nullptr_t) { return raw("null"); }
  JsonWriter& value(const text::Value& tree) { return raw(text::to_json(tree)); }

  /// A cell: decimals become exact numbers.
  JsonWriter& value(const warehouse::Value& cell);

  template <typename T>
  JsonWriter& value(const std::optional<T>& maybe) {
    return maybe ? value(*maybe) : value(nullptr);
  }

  template <typename T>
  JsonWriter& field(std::string_view name, const T& of) {
    return key(name).value(of);
  }

  /// Text that is JSON already.
  JsonWriter& raw(std::string_view json);

  const std::string& text() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();

  std::string out_;
  bool first_ = true;
};

}  // namespace tapeline::serve
