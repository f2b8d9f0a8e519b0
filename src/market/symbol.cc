#include "market/symbol.h"

#include <fmt/format.h>

#include <algorithm>

namespace tapeline {
namespace {

constexpr auto kAllowed = [] {
  std::array<bool, 256> allowed{};
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:^=/-")) {
    allowed[static_cast<unsigned char>(c)] = true;
  }
  return allowed;
}();

constexpr bool has_form(std::string_view text) {
  if (text.empty() || text.size() > Symbol::kSizeMax) return false;
  const char first = text[0];
  if (!(first >= 'A' && first <= 'Z') && !(first >= '0' && first <= '9')) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return kAllowed[static_cast<unsigned char>(c)]; });
}

}  // namespace

Result<Symbol> Symbol::parse(std::string_view text) {
  if (!has_form(text)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is not a symbol", text.substr(0, 40)),
                 "A symbol is 1 to 24 of A-Z, 0-9 and .:^=/- and begins with a letter or a digit."};
  }
  Symbol symbol;
  std::copy(text.begin(), text.end(), symbol.text_.begin());
  return symbol;
}

}  // namespace tapeline
