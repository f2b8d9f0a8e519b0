// Any bytes as the body that appends records: it is refused with a reason, or gives one record a
// line, whose bytes are the line's own or what its base64 says.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "io/http_message.h"
#include "msglog/rules.h"
#include "serve/base64.h"
#include "serve/produce.h"
#include "serve/route.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto records = serve::records_of_lines(body);
  if (!records) {
    const auto answer = serve::error_response(records.error());
    TL_ASSERT(answer.status == 400 && io::is_utf8(answer.body));
    return 0;
  }
  TL_ASSERT(!records->empty() && records->size() <= msglog::kRecordsMax);
  for (const auto& record : *records) {
    const bool is_line = body.find(record.value) != std::string_view::npos;
    const bool is_encoded =
        body.find("base64") != std::string_view::npos || body.find('\\') != std::string_view::npos;
    TL_ASSERT(is_line || is_encoded);
  }
  return 0;
}
