// The only file of the room that includes the JSON parser.

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "text/value.h"

namespace tapeline::text {
namespace {

constexpr std::size_t kDepthMax = 200;  // nested further, a document is an attack

/// Builds a Value from the parser's events.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(bool exact) : exact_(exact) {}
  Value take() { return std::move(root_); }
  const std::string& error() const { return error_; }

  bool null() override { return add(Value()); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool number_integer(number_integer_t value) override { return add(Value(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (value <= kMax) return add(Value(value));
    return add(exact_ ? Value(std::to_string(value)) : Value(static_cast<double>(value)));
  }
  bool number_float(number_float_t value, const string_t& written) override {
    return add(exact_ ? Value(written) : Value(value));
  }
  bool string(string_t& value) override { return add(Value(std::move(value))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Value(Object{})); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Value(List{})); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    open_.back().key = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& why) override {
    const std::string_view what = why.what();
    const auto colon = what.rfind(": ");
    error_ = fmt::format("byte {}: {}", position,
                         colon == std::string_view::npos ? what : what.substr(colon + 2));
    return false;
  }

 private:
  struct Level {
    Value value;
    std::string key;
    std::map<std::string, std::size_t> places;  // of the keys, once they are many
  };

  bool add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().value.is_list()) {
      open_.back().value.as_list().push_back(std::move(value));
    } else {
      put(open_.back(), std::move(value));
    }
    return true;
  }
  /// Of a key that comes again the last value counts, in the place of the first.
  static void put(Level& level, Value value) {
    constexpr std::size_t kFew = 16;  // so many are sooner looked through than sorted
    Object& object = level.value.as_object();
    if (object.size() < kFew) return level.value.set(level.key, std::move(value));
    if (level.places.empty()) {
      for (std::size_t i = 0; i < object.size(); ++i) level.places.emplace(object[i].first, i);
    }
    const auto [place, is_new] = level.places.try_emplace(level.key, object.size());
    if (is_new) {
      object.emplace_back(std::move(level.key), std::move(value));
    } else {
      object[place->second].second = std::move(value);
    }
  }
  bool open(Value value) {
    if (open_.size() >= kDepthMax) {
      error_ = fmt::format("nested deeper than {} levels", kDepthMax);
      return false;
    }
    open_.push_back({std::move(value), {}, {}});
    return true;
  }
  bool close() {
    Value done = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(done));
  }

  const bool exact_;
  Value root_;
  std::vector<Level> open_;
  std::string error_;
};

Result<Value> parse(std::string_view text, bool exact) {
  Builder builder(exact);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    return Error{ErrorCode::invalid_argument, fmt::format("text is no JSON: {}", builder.error()),
                 ""};
  }
  return builder.take();
}

}  // namespace

Result<Value> parse_json(std::string_view text) { return parse(text, false); }
Result<Value> parse_json_exactly(std::string_view text) { return parse(text, true); }

}  // namespace tapeline::text
