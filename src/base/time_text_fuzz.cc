// Any text as an instant, a date or a length of time: what was read is written and read alike.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/time_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto time = parse_rfc3339(text)) {
    TL_ASSERT(parse_rfc3339(format_rfc3339(time->at))->at == time->at);
    TL_ASSERT(parse_rfc3339(format_rfc3339_micros(time->at))->at == time->at);
  }
  if (const auto date = parse_date(text)) TL_ASSERT(*parse_date(format_date(*date)) == *date);
  if (const auto length = parse_duration(text)) static_cast<void>(format_duration(*length));
  return 0;
}
