// Text with each occurrence of a part replaced.

#pragma once

#include <string>
#include <string_view>

namespace tapeline {

/// `what` is not empty; what `with` brings is not looked at again.
inline std::string replaced(std::string_view text, std::string_view what, std::string_view with) {
  std::string out;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what)) {
    out += text.substr(0, at);
    out += with;
    text.remove_prefix(at + what.size());
  }
  return out += text;
}

}  // namespace tapeline
