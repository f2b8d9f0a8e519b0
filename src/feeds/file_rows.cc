#include "feeds/file_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/time_zone.h"
#include "market/calendar.h"

namespace tapeline::feeds {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;

constexpr std::string_view kHeaderHint =
    "Trades need timestamp, symbol, price, size; bars need timestamp or date, symbol, open, high, "
    "low, close, volume; quotes need timestamp, symbol, price, open, high, low.";
constexpr std::string_view kLengthHint = "Say it with --bar-length 1m, 5m, 15m, 30m, 1h, 4h or 1d.";

// What the market's calendars cover.
constexpr Timestamp kEarliest{Date(std::chrono::year(1990) / 1 / 1)};
constexpr Timestamp kLatest{Date(std::chrono::year(2041) / 1 / 1)};

constexpr std::int64_t kSharesMax = 1'000'000'000'000'000;  // sums of them fit, too

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// "AAPL" of "/data/aapl_2024.csv.gz".
std::string symbol_of_name(const std::string& name) {
  std::string stem = std::filesystem::path(name).filename().string();
  stem.resize(std::min(stem.find_first_of("._"), stem.size()));
  for (char& c : stem)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return stem;
}

/// A date, also where a program wrote it as a midnight: "2024-01-02 00:00:00-05:00". An instant
/// that is no midnight where it was written means New York's date.
Result<Date> date_of(std::string_view text) {
  auto date = parse_date(text.substr(0, 10));
  if (text.size() <= 10) return parse_date(text);
  const auto at = parse_rfc3339(text);
  if (!date || !at) return parse_date(text);
  const bool is_midnight = text.substr(11).starts_with("00:00:00");
  if (is_midnight) return date;
  if (!at->had_zone) return parse_date(text);
  return Calendar::new_york_date(at->at);
}

}  // namespace

Result<FileRows> FileRows::open(std::unique_ptr<RowSource> source, FileRowsOptions options) {
  FileRows rows(std::move(source), options);
  TRY_STATUS(rows.read_header());
  return rows;
}

bool FileRows::wants_bar_length() const {
  return kind_ == RowKind::bars && has(timestamp) && !options_.bar_length;
}

Error FileRows::at_line(std::string_view what, std::string hint) const {
  return Error{ErrorCode::invalid_argument,
               fmt::format("'{}' {}: {}", name(), source_->place(), what), std::move(hint)};
}

Error FileRows::at_column(Column column, std::string_view what, std::string hint) const {
  static constexpr std::array<std::string_view, kColumns> kNames{
      "timestamp",      "date",    "symbol",     "price",      "size",  "conditions",
      "suspicious",     "open",    "high",       "low",        "close", "volume",
      "previous_close", "session", "bar_length", "data_source"};
  return at_line(fmt::format("column '{}': {}", kNames[column], what), std::move(hint));
}

const std::unordered_map<std::string_view, FileRows::Column>& FileRows::known_columns() {
  static const std::unordered_map<std::string_view, Column> kKnown{
      {"timestamp", timestamp},
      {"time", timestamp},
      {"datetime", timestamp},
      {"ts", timestamp},
      {"t", timestamp},
      {"date", date},
      {"day", date},
      {"trade_date", date},
      {"price_date", date},
      {"symbol", symbol},
      {"ticker", symbol},
      {"price", price},
      {"size", size},
      {"quantity", size},
      {"qty", size},
      {"shares", size},
      {"conditions", conditions},
      {"suspicious", suspicious},
      {"open", open_price},
      {"o", open_price},
      {"high", high},
      {"h", high},
      {"low", low},
      {"l", low},
      {"close", close},
      {"c", close},
      {"volume", volume},
      {"vol", volume},
      {"v", volume},
      {"previous_close", previous_close},
      {"session", session},
      {"bar_length", bar_length},
      {"data_source", data_source}};
  return kKnown;
}

bool FileRows::knows_column(std::string_view name) {
  return known_columns().contains(lower(trimmed(name)));
}

Status FileRows::read_header() {
  auto header = source_->header();
  if (!header) {
    Error error = std::move(header).error();
    if (error.hint.empty()) error.hint = kHeaderHint;
    return error;
  }
  fields_ = *header;
  places_.fill(kNowhere);
  std::string names;
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    names += (i ? "," : "") + std::string(fields_[i]);
    const auto known = known_columns().find(lower(trimmed(fields_[i])));
    if (known == known_columns().end()) continue;
    if (has(known->second)) return at_column(known->second, "it is there twice", "");
    places_[known->second] = i;
  }
  const bool has_range = has(open_price) && has(high) && has(low);
  const bool is_quotes = has(timestamp) && has(price) && has_range && !has(close) && !has(size);
  const bool is_trades = has(timestamp) && has(price) && (has(size) || has(volume)) && !is_quotes;
  const bool is_bars = (has(timestamp) || has(date)) && has_range && has(close) && has(volume);
  if (!is_quotes && is_trades == is_bars)
    return at_line(fmt::format("the header '{}' says {}", names.substr(0, 200),
                               is_trades ? "both trades and bars" : "neither trades nor bars"),
                   std::string(kHeaderHint));
  kind_ = is_quotes ? RowKind::quotes : is_trades ? RowKind::trades : RowKind::bars;
  if (is_trades && !has(size)) places_[size] = places_[volume];
  if (has(symbol)) return Ok{};
  auto from_name = Symbol::parse(symbol_of_name(name()));
  if (!from_name)
    return at_line("there is no column 'symbol', and the file's name is none either",
                   "Add the column, or call the file like AAPL.csv.");
  symbol_from_name_ = *from_name;
  return Ok{};
}

Status FileRows::read_symbol(Symbol& into) {
  if (symbol_from_name_) {
    into = *symbol_from_name_;
    return Ok{};
  }
  const auto text = field(symbol);
  if (text != symbol_text_ || text.empty()) {
    const auto parsed = Symbol::parse(text);
    if (!parsed) return at_column(symbol, parsed.error().message, parsed.error().hint);
    symbol_ = *parsed;
    symbol_text_ = text;
  }
  into = symbol_;
  return Ok{};
}

Status FileRows::check_year(Column column, Timestamp at) const {
  if (at >= kEarliest && at < kLatest) return Ok{};
  return at_column(column, fmt::format("'{}' is outside the years 1990 to 2040", field(column)),
                   "The trading calendar does not know other years.");
}

Status FileRows::read_time(Timestamp& into) {
  const auto parsed = parse_rfc3339(field(timestamp));
  if (!parsed) return at_column(timestamp, parsed.error().message, parsed.error().hint);
  if (!parsed->had_zone) ++stamps_without_zone_;
  into = parsed->at;
  return check_year(timestamp, into);
}

Status FileRows::read_day(Timestamp& into) {
  Date day;
  if (has(date)) {
    const auto parsed = date_of(field(date));
    if (!parsed) return at_column(date, parsed.error().message, parsed.error().hint);
    day = *parsed;
  } else {
    // A day's bar is often stamped with UTC's midnight, whatever the exchange's zone.
    TRY_STATUS(read_time(into));
    const Date utc = std::chrono::floor<std::chrono::days>(into);
    day = into == utc ? utc : Calendar::new_york_date(into);
  }
  into = Calendar::new_york_midnight(day);
  return check_year(has(date) ? date : timestamp, into);
}

Status FileRows::read_price(Column column, Price& into) {
  const auto parsed = Price::parse(field(column));
  if (!parsed) return at_column(column, parsed.error().message, parsed.error().hint);
  into = *parsed;
  return Ok{};
}

Status FileRows::read_shares(Column column, std::int64_t& into) {
  const auto text = field(column);
  const auto read = std::from_chars(text.data(), text.data() + text.size(), into);
  if (read.ec == std::errc() && read.ptr == text.data() + text.size()) {
    if (-kSharesMax <= into && into <= kSharesMax) return Ok{};
    return at_column(column, fmt::format("'{}' is more shares than there can be", text), "");
  }
  // Some programs write whole numbers as 1200.0 or 1.2e3.
  const auto decimal = Price::parse(text);
  if (!decimal || decimal->units() % Price::kUnitsPerDollar != 0)
    return at_column(column, fmt::format("'{}' is not a whole number of shares", text), "");
  into = decimal->units() / Price::kUnitsPerDollar;
  return Ok{};
}

Status FileRows::read_conditions(Trade& into) {
  into.conditions = 0;
  into.suspicious = false;
  if (!options_.with_conditions) return Ok{};
  if (has(conditions) && !field(conditions).empty()) {
    const auto text = field(conditions);
    const auto end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, into.conditions, 16);
    if (read.ec != std::errc() || read.ptr != end)
      return at_column(conditions, fmt::format("'{}' is not a hexadecimal number", text), "");
  }
  if (has(suspicious)) {
    const auto text = lower(field(suspicious));
    into.suspicious = text == "1" || text == "true";
    if (!into.suspicious && !text.empty() && text != "0" && text != "false")
      return at_column(suspicious, fmt::format("'{}' is neither 0 nor 1", text), "");
  }
  return Ok{};
}

Result<bool> FileRows::next(Trade& trade) {
  if (!TRY(source_->next(fields_))) return false;
  TRY_STATUS(read_symbol(trade.symbol));
  TRY_STATUS(read_time(trade.event_time));
  TRY_STATUS(read_price(price, trade.price));
  TRY_STATUS(read_shares(size, trade.size));
  TRY_STATUS(read_conditions(trade));
  return true;
}

Result<bool> FileRows::next(Bar& bar) {
  if (!TRY(source_->next(fields_))) return false;
  bar.length =
      has(date) && !has(timestamp) ? BarLength::d1 : options_.bar_length.value_or(BarLength::d1);
  TRY_STATUS(read_symbol(bar.symbol));
  TRY_STATUS(bar.length == BarLength::d1 ? read_day(bar.start) : read_time(bar.start));
  TRY_STATUS(read_price(open_price, bar.open));
  TRY_STATUS(read_price(high, bar.high));
  TRY_STATUS(read_price(low, bar.low));
  TRY_STATUS(read_price(close, bar.close));
  bar.volume.reset();
  if (!field(volume).empty()) TRY_STATUS(read_shares(volume, bar.volume.emplace()));
  return true;
}

Status FileRows::read_price(Column column, std::optional<Price>& into) {
  into.reset();
  if (!has(column) || field(column).empty()) return Ok{};
  return read_price(column, into.emplace());
}

Status FileRows::read_origin(Quote& into) {
  into.session.reset();
  into.bar_length.reset();
  into.data_source = "replay";
  if (has(session) && !field(session).empty()) {
    into.session = session_from_text(field(session));
    if (!into.session)
      return at_column(session, fmt::format("'{}' is no session", field(session)),
                       "Sessions are pre, regular, post and closed.");
  }
  if (has(bar_length) && !field(bar_length).empty()) {
    into.bar_length = bar_length_from_text(field(bar_length));
    if (!into.bar_length)
      return at_column(bar_length, fmt::format("'{}' is no length of a bar", field(bar_length)),
                       "Lengths are 1m, 5m, 15m, 30m, 1h, 4h and 1d.");
  }
  if (!has(data_source) || field(data_source).empty()) return Ok{};
  into.data_source = field(data_source);
  if (into.data_source == "simulator")
    return at_column(data_source, "these prices are made up by the simulator",
                     "Simulated and real prices never share a directory.");
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (into.data_source.size() <= 32 && into.data_source[0] >= 'a' && into.data_source[0] <= 'z' &&
      std::ranges::all_of(into.data_source, allowed))
    return Ok{};
  return at_column(data_source, fmt::format("'{}' is no name of a source", field(data_source)),
                   "It is made of a-z, 0-9 and '-', like finnhub-ws.");
}

Result<bool> FileRows::next(Quote& quote) {
  if (!TRY(source_->next(fields_))) return false;
  TRY_STATUS(read_symbol(quote.symbol));
  TRY_STATUS(read_time(quote.event_time));
  TRY_STATUS(read_price(price, quote.price));
  TRY_STATUS(read_price(open_price, quote.open));
  TRY_STATUS(read_price(high, quote.high));
  TRY_STATUS(read_price(low, quote.low));
  TRY_STATUS(read_price(previous_close, quote.previous_close));
  quote.volume.reset();
  if (has(volume) && !field(volume).empty())
    TRY_STATUS(read_shares(volume, quote.volume.emplace()));
  TRY_STATUS(read_origin(quote));
  return true;
}

Result<bool> FileRows::next_stamp(Timestamp& at, Symbol& of) {
  if (!TRY(source_->next(fields_))) return false;
  TRY_STATUS(read_symbol(of));
  TRY_STATUS(read_time(at));
  return true;
}

namespace {

/// Finds the smallest gap between two stamps of a symbol. Within a day rows stand in order or in
/// reverse, so neighbours are enough; as days may stand in any order, the first of each is kept.
class SmallestGap {
 public:
  void add(const Symbol& symbol, Timestamp at) {
    const auto day = [](Timestamp t) { return std::chrono::floor<std::chrono::days>(t); };
    Seen& seen = symbols_[symbol];
    if (seen.last) note(at - *seen.last);
    if (!seen.last || day(*seen.last) != day(at)) seen.of_days.push_back(at);
    seen.last = at;
  }

  /// None where no symbol has two stamps.
  std::optional<microseconds> get() {
    for (auto& [symbol, seen] : symbols_) {
      auto& stamps = seen.of_days;
      std::sort(stamps.begin(), stamps.end());
      for (std::size_t i = 1; i < stamps.size(); ++i) note(stamps[i] - stamps[i - 1]);
    }
    return smallest_;
  }

 private:
  struct Seen {
    std::optional<Timestamp> last;
    std::vector<Timestamp> of_days;
  };

  void note(microseconds gap) {
    gap = std::chrono::abs(gap);
    if (gap.count() > 0 && (!smallest_ || gap < *smallest_)) smallest_ = gap;
  }

  std::unordered_map<Symbol, Seen> symbols_;
  std::optional<microseconds> smallest_;
};

Result<BarLength> length_of_gap(std::optional<microseconds> gap) {
  if (!gap)
    return Error{ErrorCode::invalid_argument,
                 "no symbol has two bars, so their length cannot be found out",
                 std::string(kLengthHint)};
  // Days that begin at midnight are 23 or 25 hours apart when the clocks change.
  if (*gap >= hours(23) && *gap <= hours(25)) return BarLength::d1;
  for (const auto length :
       {BarLength::m1, BarLength::m5, BarLength::m15, BarLength::m30, BarLength::h1, BarLength::h4})
    if (duration_of(length) == *gap) return length;
  return Error{ErrorCode::invalid_argument,
               fmt::format("the smallest gap between two bars of a symbol is {} s, which is no "
                           "length that bars have",
                           static_cast<double>(gap->count()) / 1e6),
               std::string(kLengthHint)};
}

}  // namespace

Result<FileRows> open_file_rows(const InputFile& file, FileRowsOptions options) {
  switch (file.format) {
    case InputFile::Format::text:
      return FileRows::open(csv_rows(TRY(io::LineReader::open(file.path)), file.size_bytes),
                            options);
    case InputFile::Format::member:
      return FileRows::open(
          csv_rows(io::LineReader::from_chunks(file.name(), TRY(file.archive->read(file.member))),
                   file.member.bytes),
          options);
    case InputFile::Format::parquet:
      break;
  }
  if (options.columnar == nullptr)
    return Error{ErrorCode::unsupported, fmt::format("'{}' is Parquet", file.path),
                 "Here only text is read."};
  return FileRows::open(TRY(parquet_rows(*options.columnar, file.path, FileRows::knows_column)),
                        options);
}

Result<CheckedFiles> check_files(const std::vector<InputFile>& files, FileRowsOptions options) {
  CheckedFiles checked{options, {}};
  SmallestGap gap;
  bool gap_wanted = false;
  for (const auto& file : files) {
    auto rows = TRY(open_file_rows(file, options));
    if (const auto& symbol = rows.symbol_from_name())
      checked.notes.push_back(fmt::format(
          "'{}' has no column 'symbol': '{}' is taken from its name", file.name(), symbol->text()));
    if (!rows.wants_bar_length()) continue;
    gap_wanted = true;
    Timestamp at;
    Symbol symbol;
    while (TRY(rows.next_stamp(at, symbol))) gap.add(symbol, at);
  }
  if (gap_wanted) checked.options.bar_length = TRY(length_of_gap(gap.get()));
  return checked;
}

}  // namespace tapeline::feeds
