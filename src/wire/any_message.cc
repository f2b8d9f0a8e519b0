#include "wire/any_message.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/time_text.h"

namespace tapeline::wire {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr int kDepthMax = 64;

enum class Kind : std::uint8_t { absent, null, boolean, number, text, nested };

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::absent:
      return "absent";
    case Kind::null:
      return "null";
    case Kind::boolean:
      return "true or false";
    case Kind::number:
      return "a number";
    case Kind::text:
      return "a string";
    case Kind::nested:
      return "an array or an object";
  }
  return "absent";
}

/// A field's value: a number's own text, a string's content.
struct Token {
  Kind kind = Kind::absent;
  std::string_view text;
  bool boolean = false;
};

constexpr std::array<std::string_view, 14> kNames{
    "symbol",    "price",         "high",           "low",         "open",    "volume",
    "timestamp", "data_source",   "previous_close", "received_at", "session", "bar_length",
    "history",   "schema_version"};
enum Index : std::size_t {
  kSymbol,
  kPrice,
  kHigh,
  kLow,
  kOpen,
  kVolume,
  kTimestamp,
  kDataSource,
  kPreviousClose,
  kReceivedAt,
  kSession,
  kBarLength,
  kHistory,
  kSchemaVersion,
};
using Tokens = std::array<Token, kNames.size()>;

/// Text from outside, as a message for people may hold it.
std::string quoted(std::string_view text) {
  std::string shown = "'";
  for (const char c : text.substr(0, 40)) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown + (text.size() > 40 ? "...'" : "'");
}

std::string_view without_blanks(std::string_view token) {
  while (!token.empty() && std::string_view(" \t\r\n").find(token.back()) != token.npos) {
    token.remove_suffix(1);
  }
  return token;
}

/// Whether `text` is a number by JSON's grammar.
bool is_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t first = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - first;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const std::size_t first = at;
  const std::size_t count = digits();
  if (count == 0 || (count > 1 && text[first] == '0')) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

/// Reads one value to its end. False where it is not JSON, or nested too deep.
bool read_value(ondemand::value value, int depth, Token& token);

bool read_array(ondemand::value value, int depth) {
  ondemand::array array;
  if (depth == kDepthMax || value.get_array().get(array)) return false;
  for (auto element : array) {
    ondemand::value inner;
    Token ignored;
    if (element.get(inner) || !read_value(inner, depth + 1, ignored)) return false;
  }
  return true;
}

bool read_object(ondemand::value value, int depth) {
  ondemand::object object;
  if (depth == kDepthMax || value.get_object().get(object)) return false;
  for (auto element : object) {
    std::string_view key;
    ondemand::value inner;
    Token ignored;
    if (element.unescaped_key().get(key) || element.value().get(inner) ||
        !read_value(inner, depth + 1, ignored)) {
      return false;
    }
  }
  return true;
}

bool read_value(ondemand::value value, int depth, Token& token) {
  ondemand::json_type type;
  if (value.type().get(type)) return false;
  switch (type) {
    case ondemand::json_type::array:
      token.kind = Kind::nested;
      return read_array(value, depth);
    case ondemand::json_type::object:
      token.kind = Kind::nested;
      return read_object(value, depth);
    case ondemand::json_type::string:
      token.kind = Kind::text;
      return !value.get_string().get(token.text);
    case ondemand::json_type::boolean:
      token.kind = Kind::boolean;
      return !value.get_bool().get(token.boolean);
    case ondemand::json_type::null: {
      token.kind = Kind::null;
      bool is_null = false;
      return !value.is_null().get(is_null) && is_null;
    }
    case ondemand::json_type::number: {
      token.kind = Kind::number;
      token.text = without_blanks(value.raw_json_token());
      return is_number(token.text);
    }
  }
  return false;
}

/// The fields of a parsed message; false where it is no object or not JSON.
bool read_fields(ondemand::document& document, Tokens& tokens) {
  ondemand::object object;
  if (document.get_object().get(object)) return false;
  for (auto element : object) {
    std::string_view key;
    ondemand::value value;
    Token token;
    if (element.unescaped_key().get(key) || element.value().get(value) ||
        !read_value(value, 1, token)) {
      return false;
    }
    const auto name = std::find(kNames.begin(), kNames.end(), key);
    if (name != kNames.end()) tokens[static_cast<std::size_t>(name - kNames.begin())] = token;
  }
  return document.current_location().error() == simdjson::OUT_OF_BOUNDS;  // nothing follows
}

/// What all optional fields share: null and absent are none, what does not fit is
/// none and noted.
class Optionals {
 public:
  Optionals(const Tokens& tokens, Draft& draft) : tokens_(tokens), draft_(draft) {}

  std::optional<Price> price(Index index) {
    if (!wants(index, Kind::number)) return std::nullopt;
    bool was_rounded = false;
    const auto price = Price::parse(tokens_[index].text, &was_rounded);
    if (!price) return dropped();
    if (was_rounded) draft_.price_rounded = true;
    return *price;
  }

  /// A number without a fraction, however written: 1000, 1000.0, 1e3.
  std::optional<std::int64_t> whole(Index index) {
    if (!wants(index, Kind::number)) return std::nullopt;
    const std::string_view text = tokens_[index].text;
    std::int64_t number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed == std::errc() && end == text.data() + text.size()) return number;
    bool was_rounded = false;
    const auto decimal = Price::parse(text, &was_rounded);
    if (!decimal || was_rounded || decimal->units() % Price::kUnitsPerDollar != 0) {
      return dropped();
    }
    return decimal->units() / Price::kUnitsPerDollar;
  }

  std::optional<Timestamp> time(Index index) {
    if (!wants(index, Kind::text)) return std::nullopt;
    const auto parsed = parse_rfc3339(tokens_[index].text);
    if (!parsed) return dropped();
    if (!parsed->had_zone) draft_.zone_assumed = true;
    return parsed->at;
  }

  template <typename Word>
  std::optional<Word> word(Index index, std::optional<Word> (*from_text)(std::string_view)) {
    if (!wants(index, Kind::text)) return std::nullopt;
    const auto word = from_text(tokens_[index].text);
    if (!word) return dropped();
    return word;
  }

  bool flag(Index index) { return wants(index, Kind::boolean) && tokens_[index].boolean; }

  std::optional<std::string_view> source(Index index) {
    if (!wants(index, Kind::text)) return std::nullopt;
    if (!is_data_source(tokens_[index].text)) return dropped();
    return tokens_[index].text;
  }

 private:
  bool wants(Index index, Kind kind) {
    const Kind found = tokens_[index].kind;
    if (found == Kind::absent || found == Kind::null) return false;
    if (found != kind) draft_.field_dropped = true;
    return found == kind;
  }

  std::nullopt_t dropped() {
    draft_.field_dropped = true;
    return std::nullopt;
  }

  const Tokens& tokens_;
  Draft& draft_;
};

/// None if the required field has the kind it must have.
std::optional<DeadLetter> required(const Tokens& tokens, Index index, Kind kind, DeadReason missing,
                                   DeadReason wrong_type) {
  const Kind found = tokens[index].kind;
  if (found == kind) return std::nullopt;
  const bool is_missing = found == Kind::absent || found == Kind::null;
  return DeadLetter{is_missing ? missing : wrong_type,
                    fmt::format("{} is {}", kNames[index], to_string(found))};
}

}  // namespace

struct AnyMessage::Parser {
  ondemand::parser parser;
  std::string padded;
};

AnyMessage::AnyMessage() : parser_(std::make_unique<Parser>()) {}

AnyMessage::~AnyMessage() = default;

std::string_view AnyMessage::kept(std::string_view text, std::string_view value) {
  const auto at = value.find(text);
  return at != value.npos ? value.substr(at, text.size()) : unescaped_.emplace_back(text);
}

std::optional<DeadLetter> AnyMessage::read(std::string_view value, Draft& draft) {
  if (value.size() > kMessageSizeMax) {
    return DeadLetter{DeadReason::too_large, fmt::format("{} bytes", value.size())};
  }
  std::string& padded = parser_->padded;
  padded.assign(value);
  padded.append(simdjson::SIMDJSON_PADDING, ' ');
  ondemand::document document;
  Tokens tokens;
  if (parser_->parser.iterate(padded.data(), value.size(), padded.size()).get(document) ||
      !read_fields(document, tokens)) {
    return DeadLetter{DeadReason::not_json, quoted(value)};
  }

  using enum DeadReason;
  if (auto dead = required(tokens, kSymbol, Kind::text, missing_symbol, wrong_type_symbol)) {
    return dead;
  }
  if (auto dead = required(tokens, kPrice, Kind::number, missing_price, wrong_type_price)) {
    return dead;
  }
  if (auto dead =
          required(tokens, kTimestamp, Kind::text, missing_timestamp, wrong_type_timestamp)) {
    return dead;
  }
  if (!Symbol::parse(tokens[kSymbol].text)) {
    return DeadLetter{symbol_form, quoted(tokens[kSymbol].text)};
  }
  const auto price = Price::parse(tokens[kPrice].text, &draft.price_rounded);
  if (!price) return DeadLetter{price_range, quoted(tokens[kPrice].text)};
  const auto event_time = parse_rfc3339(tokens[kTimestamp].text);
  if (!event_time) return DeadLetter{timestamp_form, quoted(tokens[kTimestamp].text)};

  Optionals optionals(tokens, draft);
  QuoteView& row = draft.row;
  row.symbol = kept(tokens[kSymbol].text, value);
  row.price = *price;
  row.event_time = event_time->at;
  draft.zone_assumed = !event_time->had_zone;
  row.high = optionals.price(kHigh);
  row.low = optionals.price(kLow);
  row.open = optionals.price(kOpen);
  row.volume = optionals.whole(kVolume);
  row.previous_close = optionals.price(kPreviousClose);
  row.received_at = optionals.time(kReceivedAt);
  row.session = optionals.word(kSession, session_from_text);
  row.bar_length = optionals.word(kBarLength, bar_length_from_text);
  row.history = optionals.flag(kHistory);
  draft.has_schema_version = optionals.whole(kSchemaVersion).has_value();
  if (const auto source = optionals.source(kDataSource)) row.data_source = kept(*source, value);
  return std::nullopt;
}

}  // namespace tapeline::wire
