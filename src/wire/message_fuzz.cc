// Any bytes: no crash, both ways of reading agree, and what was read survives being
// written and read again.

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "wire/differential.h"

namespace {

using namespace tapeline;
using namespace tapeline::wire;

void require(bool holds) {
  if (!holds) std::abort();
}

bool has_four_digit_year(Timestamp at) {
  const int year = static_cast<int>(
      std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(at)).year());
  return year >= 0 && year <= 9999;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of exactly this size, so that the sanitizer sees each step past its end.
  const auto bytes = std::make_unique<char[]>(size);
  if (size != 0) std::memcpy(bytes.get(), data, size);
  const std::string_view value(bytes.get(), size);
  AnyMessage any;
  require(both_ways_agree(any, value));

  const Timestamp late = std::chrono::sys_days(std::chrono::year(9999) / 12 / 31);
  Decoder decoder(DirectoryKind::market);
  QuoteView row;
  if (decoder.decode(value, late, row)) return 0;
  if (!has_four_digit_year(row.event_time)) return 0;
  if (row.received_at && !has_four_digit_year(*row.received_at)) return 0;
  const std::string again = encode(quote_of(row));
  QuoteView second;
  require(!decoder.decode(again, late, second));
  require(second == row);
  return 0;
}
