#include "msglog/embedded/sealed_text.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace tapeline::msglog {

std::string seal(const Lines& lines) {
  std::string text;
  for (const auto& [key, value] : lines) text += fmt::format("{} {}\n", key, value);
  return text + fmt::format("crc32c {:08x}\n", crc32c(text));
}

std::optional<Lines> unseal(std::string_view text) {
  constexpr std::size_t kSealBytes = 16;  // "crc32c ", eight digits, newline
  if (text.size() < kSealBytes) return std::nullopt;
  auto body = text.substr(0, text.size() - kSealBytes);
  if (text.substr(body.size()) != fmt::format("crc32c {:08x}\n", crc32c(body))) return std::nullopt;
  Lines lines;
  while (!body.empty()) {
    const auto line = body.substr(0, body.find('\n'));
    const auto blank = line.find(' ');
    if (blank == line.npos || line.size() == body.size()) return std::nullopt;
    lines.emplace_back(line.substr(0, blank), line.substr(blank + 1));
    body.remove_prefix(line.size() + 1);
  }
  return lines;
}

std::optional<std::string> value_of(const Lines& lines, std::string_view key) {
  for (const auto& [name, value] : lines)
    if (name == key) return value;
  return std::nullopt;
}

}  // namespace tapeline::msglog
