// Any bytes as a request's target and its Host header: what was read keeps its promises.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "io/http_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline::io;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto target = parse_target(text)) {
    for (const std::string& segment : target->segments) {
      TL_ASSERT(!segment.empty() && segment != "." && segment != ".." && is_utf8(segment));
      TL_ASSERT(std::ranges::none_of(segment, [](char c) { return c >= 0 && c < 0x20; }));
    }
    for (const auto& [key, value] : target->query) TL_ASSERT(is_utf8(key) && is_utf8(value));
  } else {
    TL_ASSERT(is_utf8(http_error(400, "invalid_argument", target.error().message, text).body));
  }
  if (is_utf8(text)) TL_ASSERT(*percent_decode(percent_encode(text), true) == text);
  static_cast<void>(host_is_one_of(text, {"localhost", "::1"}));
  return 0;
}
