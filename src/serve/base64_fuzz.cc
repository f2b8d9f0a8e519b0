// Any bytes: what is encoded decodes to the same, and what decodes is its only encoding.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "serve/base64.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline::serve;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto back = base64_decode(base64_encode(bytes));
  TL_ASSERT(back && *back == bytes);
  if (const auto decoded = base64_decode(bytes)) TL_ASSERT(base64_encode(*decoded) == bytes);
  return 0;
}
