// Any bytes as JSON, YAML, TOML and CSV: each is read or refused, and what was read from JSON
// survives being written and read again.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "text/csv.h"
#include "text/value.h"

namespace tapeline::text {
namespace {

void try_csv(std::string_view text) {
  CsvRecord record;
  std::size_t bytes = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!record.split(line)) continue;
    for (const std::string_view field : record.fields()) bytes += std::string(field).size();
    TL_ASSERT(!record.fields().empty() && bytes <= line.size());
    bytes = 0;
  }
}

void try_all(std::string_view text) {
  if (const auto json = parse_json(text)) {
    // Once: 151.0 is written as 151 and -0.0 as -0. From then on it is the same.
    const auto again = parse_json(to_json(*json));
    TL_ASSERT(again && *parse_json(to_json(*again)) == *again);
    TL_ASSERT(*parse_json(to_json(*json, 2)) == *again);
  }
  if (const auto yaml = parse_yaml(text)) TL_ASSERT(parse_json(to_json(*yaml)));
  if (const auto toml = parse_toml(text)) TL_ASSERT(parse_json(to_json(*toml)));
  try_csv(without_byte_order_mark(text));
}

}  // namespace
}  // namespace tapeline::text

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of exactly this size, so that the sanitizer sees each step past its end.
  const auto bytes = std::make_unique<char[]>(size);
  if (size != 0) std::memcpy(bytes.get(), data, size);
  tapeline::text::try_all({bytes.get(), size});
  return 0;
}
