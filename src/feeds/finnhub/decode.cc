#include "feeds/finnhub/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/crc32c.h"
#include "text/value.h"

namespace tapeline::feeds::finnhub {
namespace {

using text::Value;

constexpr std::size_t kWordsBytes = 200;
constexpr std::size_t kWordBytesMax = 16;  // a key has more, in every encoding

// Years 1990 to 2100: outside them a time is none, but milliseconds where seconds were meant.
constexpr std::int64_t kSecondsMin = 631'152'000;
constexpr std::int64_t kSecondsMax = 4'102'444'800;

std::optional<Price> price_of(const Value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->is_int()) {
    const auto price = Price::parse(std::to_string(value->as_int()));
    return price ? std::optional(*price) : std::nullopt;
  }
  if (!value->is_string()) return std::nullopt;
  const auto price = Price::parse(value->as_string());
  return price ? std::optional(*price) : std::nullopt;
}

/// Of a field where 0 means that there is none.
std::optional<Price> price_above_zero(const Value* value) {
  const auto price = price_of(value);
  return price && price->units() > 0 ? price : std::nullopt;
}

DecodedAnswer answer(Outcome outcome, std::string detail) {
  return {.outcome = outcome, .quote = {}, .retry_after = {}, .detail = std::move(detail)};
}

/// What the body of an answer that is no success says of itself.
std::string said_by(const io::HttpResponse& response) {
  const auto body = text::parse_json(response.body);
  const std::string said = body && body->is_object() ? body->string_or("error", "") : "";
  return said.empty() ? fmt::format("HTTP status {}", response.status)
                      : fmt::format("HTTP status {}: {}", response.status, words_of(said));
}

std::optional<Duration> retry_after(const io::HttpResponse& response) {
  const std::string* header = io::find_header(response.headers, "Retry-After");
  if (header == nullptr) return std::nullopt;
  std::int64_t seconds = 0;
  const char* end = header->data() + header->size();
  const auto [at, failed] = std::from_chars(header->data(), end, seconds);
  constexpr std::int64_t kLongest = 3600;  // more than an hour is no answer to wait for
  if (failed != std::errc() || at != end || seconds < 0) return std::nullopt;
  return std::chrono::seconds(std::min(seconds, kLongest));
}

DecodedAnswer decode_body(const std::string& body) {
  const auto parsed = text::parse_json_exactly(body);
  if (!parsed || !parsed->is_object()) {
    return answer(Outcome::bad_answer, "the answer is no JSON object: " + words_of(body));
  }
  const auto price = price_of(parsed->find("c"));
  const Value* t = parsed->find("t");
  if (!price || t == nullptr || !t->is_int()) {
    return answer(Outcome::bad_answer, "the answer has no price c or no time t");
  }
  if (price->units() == 0) return answer(Outcome::zero, "");
  if (price->units() < 0 || t->as_int() < kSecondsMin || t->as_int() > kSecondsMax) {
    return answer(Outcome::bad_answer, "the price c or the time t cannot be");
  }
  DecodedAnswer good = answer(Outcome::ok, "");
  good.quote = {.price = *price,
                .open = price_above_zero(parsed->find("o")),
                .high = price_above_zero(parsed->find("h")),
                .low = price_above_zero(parsed->find("l")),
                .previous_close = price_above_zero(parsed->find("pc")),
                .at = Timestamp(std::chrono::seconds(t->as_int()))};
  return good;
}

/// Reads one trade of a message; false where it cannot be one.
bool read_trade(const Value& from, Trade& trade) {
  const Value* symbol = from.find("s");
  const Value* t = from.find("t");
  if (symbol == nullptr || !symbol->is_string() || t == nullptr || !t->is_int()) return false;
  const auto parsed = Symbol::parse(symbol->as_string());
  const auto price = price_above_zero(from.find("p"));
  const auto size = price_of(from.find("v"));  // a decimal too
  if (!parsed || !price || !size || size->units() < 0) return false;
  if (t->as_int() < kSecondsMin * 1000 || t->as_int() > kSecondsMax * 1000) return false;
  trade.symbol = *parsed;
  trade.price = *price;
  trade.size = (size->units() + Price::kUnitsPerDollar / 2) / Price::kUnitsPerDollar;
  trade.event_time = Timestamp(std::chrono::milliseconds(t->as_int()));
  std::string codes;
  if (const Value* c = from.find("c"); c != nullptr && c->is_list()) {
    for (const Value& code : c->as_list()) codes += text::to_json(code) + ",";
  }
  trade.conditions = codes.empty() ? 0 : crc32c(codes);
  return true;
}

}  // namespace

std::string words_of(std::string_view said) {
  std::string words;
  const auto is_blank = [](char c) { return c <= ' ' || c > '~'; };
  while (words.size() < kWordsBytes) {
    const auto* begin = std::find_if_not(said.begin(), said.end(), is_blank);
    const auto* end = std::find_if(begin, said.end(), is_blank);
    if (begin == end) break;
    const std::string_view word(begin, static_cast<std::size_t>(end - begin));
    words.append(words.empty() ? "" : " ").append(word.size() > kWordBytesMax ? "..." : word);
    said.remove_prefix(static_cast<std::size_t>(end - said.begin()));
  }
  return words;
}

DecodedAnswer decode_quote(const io::HttpResponse& response) {
  switch (response.status) {
    case 200:
      return decode_body(response.body);
    case 401:
      return answer(Outcome::unauthorized, said_by(response));
    case 403:
      return answer(Outcome::forbidden, said_by(response));
    case 429: {
      DecodedAnswer limited = answer(Outcome::limited, said_by(response));
      limited.retry_after = retry_after(response);
      return limited;
    }
    default:
      return answer(response.status >= 500 ? Outcome::error : Outcome::bad_answer,
                    said_by(response));
  }
}

Frame decode_frame(std::string_view bytes) {
  Frame frame;
  const auto parsed = text::parse_json_exactly(bytes);
  if (!parsed || !parsed->is_object()) return frame;
  const std::string type = parsed->string_or("type", "");
  if (type == "ping") {
    frame.type = Frame::Type::ping;
  } else if (type == "error") {
    frame.type = Frame::Type::error;
    frame.message = parsed->string_or("msg", "");
  } else if (type != "trade") {
    frame.type = type.empty() ? Frame::Type::malformed : Frame::Type::other;
  } else if (const Value* data = parsed->find("data"); data != nullptr && data->is_list()) {
    frame.type = Frame::Type::trade;
    frame.trades.reserve(data->as_list().size());
    for (const Value& one : data->as_list()) {
      Trade trade;
      if (read_trade(one, trade))
        frame.trades.push_back(trade);
      else
        ++frame.unreadable;
    }
  }
  return frame;
}

std::string subscribe_message(const Symbol& symbol, bool subscribe) {
  return fmt::format(R"({{"type":"{}","symbol":{}}})", subscribe ? "subscribe" : "unsubscribe",
                     text::json_string(symbol.text()));
}

}  // namespace tapeline::feeds::finnhub
