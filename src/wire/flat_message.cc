#include "wire/flat_message.h"

#include <array>
#include <cstring>

namespace tapeline::wire {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

using CharacterClass = std::array<bool, 256>;

constexpr CharacterClass class_of(std::string_view characters) {
  CharacterClass members{};
  for (const char c : characters) members[static_cast<unsigned char>(c)] = true;
  return members;
}

constexpr std::string_view kSymbolCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:^=/-";
constexpr std::string_view kSourceCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-";
constexpr auto kInSymbol = class_of(kSymbolCharacters);
constexpr auto kBeginsSymbol = class_of(kSymbolCharacters.substr(0, 36));
constexpr auto kInSource = class_of(kSourceCharacters);
constexpr auto kBeginsSource = class_of(kSourceCharacters.substr(0, 26));

/// A place in a message that ends with '}'. No step goes over a '}' but the last
/// one, so none needs to look for the end.
class Scanner {
 public:
  explicit Scanner(std::string_view value) : at_(value.data()), end_(value.data() + value.size()) {}

  char next() const { return *at_; }
  bool at_last() const { return at_ + 1 == end_; }

  bool take(char wanted) {
    if (*at_ != wanted) return false;
    ++at_;
    return true;
  }

  template <std::size_t N>
  bool take(const char (&wanted)[N]) {
    constexpr std::size_t kSize = N - 1;
    if (static_cast<std::size_t>(end_ - at_) < kSize) return false;
    if (std::memcmp(at_, wanted, kSize) != 0) return false;
    at_ += kSize;
    return true;
  }

  /// A quoted run of `members`, the first of `begins`.
  bool take_text(const CharacterClass& begins, const CharacterClass& members, std::size_t size_max,
                 std::string_view& text) {
    if (!take('"') || !begins[static_cast<unsigned char>(*at_)]) return false;
    const char* const first = at_;
    while (members[static_cast<unsigned char>(*at_)]) ++at_;
    text = {first, static_cast<std::size_t>(at_ - first)};
    return text.size() <= size_max && take('"');
  }

  /// At most 18 digits, no needless zero before them.
  bool take_digits(std::int64_t& number) {
    const char* const first = at_;
    std::uint64_t digits = 0;
    while (is_digit(*at_)) digits = digits * 10 + static_cast<std::uint64_t>(*at_++ - '0');
    const auto count = at_ - first;
    number = static_cast<std::int64_t>(digits);
    return count > 0 && count <= 18 && (*first != '0' || count == 1);
  }

  /// Up to twelve digits and six decimals.
  bool take_price(Price& price) {
    const bool negative = take('-');
    const char* const first = at_;
    std::int64_t dollars = 0;
    if (!take_digits(dollars) || at_ - first > 12) return false;
    std::int64_t fraction = 0;
    if (take('.')) {
      const char* const point = at_;
      while (is_digit(*at_)) {
        if (at_ - point == 6) return false;
        fraction = fraction * 10 + (*at_++ - '0');
      }
      if (at_ == point) return false;
      constexpr std::array<std::int64_t, 7> kScale{0, 100'000, 10'000, 1'000, 100, 10, 1};
      fraction *= kScale[static_cast<std::size_t>(at_ - point)];
    }
    const std::int64_t units = dollars * Price::kUnitsPerDollar + fraction;
    price = Price::from_units(negative ? -units : units);
    return true;
  }

  bool take_optional_price(std::optional<Price>& price) {
    return *at_ == 'n' ? take("null") : take_price(price.emplace());
  }

  /// "YYYY-MM-DDTHH:MM:SS", up to six digits of fraction, then Z, +00:00 or nothing.
  bool take_time(Timestamp& time, bool& zone_assumed) {
    int century = 0, y = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    if (!take('"') || !take_two(century) || !take_two(y) || !take('-') || !take_two(month) ||
        !take('-') || !take_two(day) || !take('T') || !take_two(hour) || !take(':') ||
        !take_two(minute) || !take(':') || !take_two(second)) {
      return false;
    }
    const std::chrono::year_month_day date{std::chrono::year(century * 100 + y),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok() || hour > 23 || minute > 59 || second > 59) return false;
    std::int64_t micros = 0;
    if (take('.')) {
      const char* const point = at_;
      std::int64_t scale = 1'000'000;
      while (is_digit(*at_) && scale > 1) {
        scale /= 10;
        micros += (*at_++ - '0') * scale;
      }
      if (at_ == point) return false;
    }
    if (!take('Z') && !take("+00:00")) zone_assumed = true;
    time = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
           std::chrono::seconds(second) + std::chrono::microseconds(micros);
    return take('"');
  }

 private:
  bool take_two(int& number) {
    if (!is_digit(at_[0]) || !is_digit(at_[1])) return false;
    number = (at_[0] - '0') * 10 + (at_[1] - '0');
    at_ += 2;
    return true;
  }

  const char* at_;
  const char* const end_;
};

/// The fields, each a bit, so that one that comes twice is seen.
enum Field : std::uint32_t {
  kNone = 0,
  kSymbol = 1,
  kPrice = 2,
  kHigh = 4,
  kLow = 8,
  kOpen = 16,
  kVolume = 32,
  kTimestamp = 64,
  kDataSource = 128,
  kPreviousClose = 256,
  kReceivedAt = 512,
  kSession = 1024,
  kBarLength = 2048,
  kHistory = 4096,
  kSchemaVersion = 8192,
};

/// Reads a field's name, its quotes and the colon.
Field take_field(Scanner& scanner) {
  if (!scanner.take('"')) return kNone;
  switch (scanner.next()) {
    case 's':
      return scanner.take("symbol\":")           ? kSymbol
             : scanner.take("schema_version\":") ? kSchemaVersion
             : scanner.take("session\":")        ? kSession
                                                 : kNone;
    case 'p':
      return scanner.take("price\":")            ? kPrice
             : scanner.take("previous_close\":") ? kPreviousClose
                                                 : kNone;
    case 'h':
      return scanner.take("high\":") ? kHigh : scanner.take("history\":") ? kHistory : kNone;
    case 'l':
      return scanner.take("low\":") ? kLow : kNone;
    case 'o':
      return scanner.take("open\":") ? kOpen : kNone;
    case 'v':
      return scanner.take("volume\":") ? kVolume : kNone;
    case 't':
      return scanner.take("timestamp\":") ? kTimestamp : kNone;
    case 'd':
      return scanner.take("data_source\":") ? kDataSource : kNone;
    case 'r':
      return scanner.take("received_at\":") ? kReceivedAt : kNone;
    case 'b':
      return scanner.take("bar_length\":") ? kBarLength : kNone;
    default:
      return kNone;
  }
}

bool take_session(Scanner& scanner, std::optional<Session>& session) {
  std::string_view text;
  if (!scanner.take_text(kInSource, kInSource, 16, text)) return false;
  session = session_from_text(text);
  return session.has_value();
}

bool take_bar_length(Scanner& scanner, std::optional<BarLength>& length) {
  std::string_view text;
  if (!scanner.take_text(kInSource, kInSource, 16, text)) return false;
  length = bar_length_from_text(text);
  return length.has_value();
}

bool take_history(Scanner& scanner, bool& history) {
  history = scanner.take("true");
  return history || scanner.take("false");
}

bool take_value(Scanner& scanner, Field field, Draft& draft) {
  QuoteView& row = draft.row;
  switch (field) {
    case kSymbol:
      return scanner.take_text(kBeginsSymbol, kInSymbol, Symbol::kSizeMax, row.symbol);
    case kPrice:
      return scanner.take_price(row.price);
    case kHigh:
      return scanner.take_optional_price(row.high);
    case kLow:
      return scanner.take_optional_price(row.low);
    case kOpen:
      return scanner.take_optional_price(row.open);
    case kVolume:
      return scanner.take("null") || scanner.take_digits(row.volume.emplace());
    case kTimestamp:
      return scanner.take_time(row.event_time, draft.zone_assumed);
    case kDataSource:
      return scanner.take_text(kBeginsSource, kInSource, 32, row.data_source);
    case kPreviousClose:
      return scanner.take_optional_price(row.previous_close);
    case kReceivedAt:
      return scanner.take_time(row.received_at.emplace(), draft.zone_assumed);
    case kSession:
      return take_session(scanner, row.session);
    case kBarLength:
      return take_bar_length(scanner, row.bar_length);
    case kHistory:
      return take_history(scanner, row.history);
    case kSchemaVersion: {
      std::int64_t version = 0;
      draft.has_schema_version = true;
      return scanner.take_digits(version);
    }
    case kNone:
      break;
  }
  return false;
}

}  // namespace

bool read_flat_message(std::string_view value, Draft& draft) {
  if (value.size() < 2 || value.size() > kMessageSizeMax || value.back() != '}') return false;
  Scanner scanner(value);
  std::uint32_t seen = 0;
  if (!scanner.take('{')) return false;
  do {
    scanner.take(' ');
    const Field field = take_field(scanner);
    scanner.take(' ');
    if ((seen & field) != 0 || !take_value(scanner, field, draft)) return false;
    seen |= field;
  } while (scanner.take(','));
  constexpr std::uint32_t kNeeded = kSymbol | kPrice | kTimestamp;
  return (seen & kNeeded) == kNeeded && scanner.next() == '}' && scanner.at_last();
}

}  // namespace tapeline::wire
