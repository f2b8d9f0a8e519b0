// Any words as a command line, as a shell or another process over the socket sends them: they are
// refused with a reason, or name a command and flags that it has.
//
// The input is one word a line.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "app/cli/cli.h"
#include "base/check.h"
#include "transform/command_line.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> words;
  while (!text.empty() && words.size() < 50) {
    const auto end = std::min(text.find('\n'), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (const auto dbt = transform::parse_command_line(words); !dbt) {
    TL_ASSERT(!dbt.error().message.empty());
  }
  const auto line = app::parse_command_line(words);
  if (!line) {
    TL_ASSERT(!line.error().message.empty());
    return 0;
  }
  if (!line->command) return 0;
  for (const auto& given : line->values) {
    const auto has = [&](std::span<const app::Flag> flags) {
      return std::ranges::any_of(flags,
                                 [&](const app::Flag& flag) { return flag.name == given.first; });
    };
    TL_ASSERT(has(line->command->flags) || has(app::common_flags()));
  }
  return 0;
}
