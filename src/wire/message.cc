#include "wire/message.h"

#include <array>

#include "base/check.h"
#include "base/time_text.h"
#include "wire/any_message.h"
#include "wire/flat_message.h"

namespace tapeline::wire {
namespace {

void append_price(std::string& out, std::string_view name, const std::optional<Price>& price) {
  out += name;
  out += price ? price->text() : "null";
}

char* put_digits(char* at, std::uint64_t number, int count) {
  for (int i = count - 1; i >= 0; --i, number /= 10) at[i] = static_cast<char>('0' + number % 10);
  return at + count;
}

/// What format_rfc3339 gives, at a fifth of its cost: importing writes it for each row.
void append_time(std::string& out, Timestamp at) {
  const auto date = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day ymd(date);
  const int year = static_cast<int>(ymd.year());
  if (year < 0 || year > 9999) {
    out += format_rfc3339(at);
    return;
  }
  const auto micros = static_cast<std::uint64_t>((at - date).count());
  const std::uint64_t seconds = micros / 1'000'000;
  const std::uint64_t fraction = micros % 1'000'000;
  std::array<char, 27> text{};
  char* end = put_digits(text.data(), static_cast<std::uint64_t>(year), 4);
  *end++ = '-';
  end = put_digits(end, static_cast<unsigned>(ymd.month()), 2);
  *end++ = '-';
  end = put_digits(end, static_cast<unsigned>(ymd.day()), 2);
  *end++ = 'T';
  end = put_digits(end, seconds / 3600, 2);
  *end++ = ':';
  end = put_digits(end, seconds / 60 % 60, 2);
  *end++ = ':';
  end = put_digits(end, seconds % 60, 2);
  if (fraction != 0) {
    *end++ = '.';
    end = fraction % 1000 == 0 ? put_digits(end, fraction / 1000, 3) : put_digits(end, fraction, 6);
  }
  *end++ = 'Z';
  out.append(text.data(), end);
}

/// Whether a data_source, up to its first '-', is the simulator's.
bool is_simulated(std::string_view data_source) {
  return data_source.substr(0, data_source.find('-')) == "simulator";
}

/// What holds for a message however it was read.
std::optional<DeadLetter> judge(const QuoteView& row, DirectoryKind kind, Timestamp appended_at) {
  if (row.event_time > appended_at + std::chrono::days(1)) {
    return DeadLetter{DeadReason::too_far_ahead, format_rfc3339(row.event_time)};
  }
  if (is_simulated(row.data_source) != (kind == DirectoryKind::simulated)) {
    return DeadLetter{DeadReason::kind_mismatch, std::string(row.data_source)};
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(DeadReason reason) {
  switch (reason) {
    case DeadReason::not_json:
      return "not_json";
    case DeadReason::too_large:
      return "too_large";
    case DeadReason::missing_symbol:
      return "missing_symbol";
    case DeadReason::missing_price:
      return "missing_price";
    case DeadReason::missing_timestamp:
      return "missing_timestamp";
    case DeadReason::wrong_type_symbol:
      return "wrong_type_symbol";
    case DeadReason::wrong_type_price:
      return "wrong_type_price";
    case DeadReason::wrong_type_timestamp:
      return "wrong_type_timestamp";
    case DeadReason::symbol_form:
      return "symbol_form";
    case DeadReason::price_range:
      return "price_range";
    case DeadReason::timestamp_form:
      return "timestamp_form";
    case DeadReason::too_far_ahead:
      return "too_far_ahead";
    case DeadReason::kind_mismatch:
      return "kind_mismatch";
    case DeadReason::before_retention:
      return "before_retention";
  }
  return "not_json";
}

bool is_data_source(std::string_view text) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (text.empty() || text.size() > 32 || !is_lower(text[0])) return false;
  for (const char c : text) {
    if (!is_lower(c) && !(c >= '0' && c <= '9') && c != '-') return false;
  }
  return true;
}

QuoteView view_of(const Quote& quote) {
  return {.symbol = quote.symbol.text(),
          .data_source = quote.data_source,
          .price = quote.price,
          .open = quote.open,
          .high = quote.high,
          .low = quote.low,
          .previous_close = quote.previous_close,
          .volume = quote.volume,
          .event_time = quote.event_time,
          .received_at = quote.received_at,
          .session = quote.session,
          .bar_length = quote.bar_length,
          .history = quote.history};
}

Quote quote_of(const QuoteView& row) {
  return {.symbol = *Symbol::parse(row.symbol),
          .price = row.price,
          .open = row.open,
          .high = row.high,
          .low = row.low,
          .previous_close = row.previous_close,
          .volume = row.volume,
          .session = row.session,
          .bar_length = row.bar_length,
          .event_time = row.event_time,
          .received_at = row.received_at,
          .data_source = std::string(row.data_source),
          .history = row.history};
}

bool same_payload(const QuoteView& a, const QuoteView& b) {
  return a.price == b.price && a.open == b.open && a.high == b.high && a.low == b.low &&
         a.volume == b.volume && a.previous_close == b.previous_close && a.session == b.session &&
         a.bar_length == b.bar_length && a.data_source == b.data_source;
}

std::string encode(const Quote& quote) {
  TL_ASSERT(!quote.symbol.text().empty());
  TL_ASSERT(is_data_source(quote.data_source));
  std::string out;
  out.reserve(320);
  out += R"({"symbol":")";
  out += quote.symbol.text();
  append_price(out, R"(","price":)", quote.price);
  append_price(out, R"(,"high":)", quote.high);
  append_price(out, R"(,"low":)", quote.low);
  append_price(out, R"(,"open":)", quote.open);
  out += R"(,"volume":)";
  out += quote.volume ? std::to_string(*quote.volume) : "null";
  out += R"(,"timestamp":")";
  append_time(out, quote.event_time);
  out += R"(","data_source":")";
  out += quote.data_source;
  out += '"';
  if (quote.previous_close) append_price(out, R"(,"previous_close":)", quote.previous_close);
  const auto append_text = [&out](std::string_view name, std::string_view text) {
    ((((out += ",\"") += name) += "\":\"") += text) += '"';
  };
  if (quote.received_at) {
    out += R"(,"received_at":")";
    append_time(out, *quote.received_at);
    out += '"';
  }
  if (quote.session) append_text("session", to_string(*quote.session));
  if (quote.bar_length) append_text("bar_length", to_string(*quote.bar_length));
  if (quote.history) out += R"(,"history":true)";
  out += R"(,"schema_version":1})";
  return out;
}

Decoder::Decoder(DirectoryKind kind) : kind_(kind), any_(std::make_unique<AnyMessage>()) {}

Decoder::~Decoder() = default;

void Decoder::forget() { any_->forget(); }

std::optional<DeadLetter> Decoder::decode(std::string_view value, Timestamp appended_at,
                                          QuoteView& row) {
  Draft draft;
  if (!read_flat_message(value, draft)) [[unlikely]] {
    draft = {};
    if (auto dead = any_->read(value, draft)) return dead;
  }
  if (auto dead = judge(draft.row, kind_, appended_at)) [[unlikely]]
    return dead;
  // The original's producer writes 0 where Finnhub's /quote, which has no volume, says nothing.
  if (draft.row.volume == 0 && !draft.has_schema_version && draft.row.data_source == "finnhub") {
    draft.row.volume.reset();
    ++repairs_.volume_unknown;
  }
  repairs_.zone_assumed += draft.zone_assumed ? 1 : 0;
  repairs_.price_rounded += draft.price_rounded ? 1 : 0;
  repairs_.field_dropped += draft.field_dropped ? 1 : 0;
  row = draft.row;
  return std::nullopt;
}

}  // namespace tapeline::wire
