#include "jinja/unicode.h"

namespace tapeline::jinja {

std::size_t code_point_bytes(std::string_view text, std::size_t position) {
  const auto first = static_cast<unsigned char>(text[position]);
  std::size_t bytes = 1;
  if (first >= 0xF0 && first < 0xF8)
    bytes = 4;
  else if (first >= 0xE0 && first < 0xF0)
    bytes = 3;
  else if (first >= 0xC2 && first < 0xE0)
    bytes = 2;
  if (position + bytes > text.size()) return 1;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((static_cast<unsigned char>(text[position + i]) & 0xC0) != 0x80) return 1;
  }
  return bytes;
}

std::uint32_t code_point_at(std::string_view text, std::size_t position) {
  const std::size_t bytes = code_point_bytes(text, position);
  const auto first = static_cast<unsigned char>(text[position]);
  if (bytes == 1) return first;
  std::uint32_t value = first & (0xFFU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    value = (value << 6) | (static_cast<unsigned char>(text[position + i]) & 0x3FU);
  }
  return value;
}

void append_code_point(std::string& text, std::uint32_t code_point) {
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0 | (code_point >> 6));
    text += static_cast<char>(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0 | (code_point >> 12));
    text += static_cast<char>(0x80 | ((code_point >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (code_point & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | (code_point >> 18));
    text += static_cast<char>(0x80 | ((code_point >> 12) & 0x3F));
    text += static_cast<char>(0x80 | ((code_point >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (code_point & 0x3F));
  }
}

std::int64_t text_length(std::string_view text) {
  std::int64_t count = 0;
  for (std::size_t at = 0; at < text.size(); at += code_point_bytes(text, at)) ++count;
  return count;
}

std::size_t byte_of(std::string_view text, std::int64_t index) {
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += code_point_bytes(text, at);
  return at;
}

std::vector<std::string_view> code_points(std::string_view text) {
  std::vector<std::string_view> points;
  points.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = code_point_bytes(text, at);
    points.push_back(text.substr(at, bytes));
    at += bytes;
  }
  return points;
}

namespace {

// Letters come in pairs in these ranges of Latin Extended-A; the parity tells which is upper.
bool paired(std::uint32_t c) { return c >= 0x100 && c <= 0x17F && c != 0x130 && c != 0x131; }
bool odd_is_upper(std::uint32_t c) {
  return (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
}

std::uint32_t lower_of(std::uint32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 32;
  if (c == 0x178) return 0xFF;
  if (paired(c) && c != 0x138 && c != 0x149 && c != 0x17F) {
    return (c % 2 == 1) == odd_is_upper(c) ? c + 1 : c;
  }
  if (c >= 0x391 && c <= 0x3A9 && c != 0x3A2) return c + 32;
  if (c >= 0x410 && c <= 0x42F) return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  return c;
}

std::uint32_t upper_of(std::uint32_t c) {
  if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
  if (c >= 0xE0 && c <= 0xFE && c != 0xF7) return c - 32;
  if (c == 0xFF) return 0x178;
  if (c == 0xB5) return 0x39C;
  if (paired(c) && c != 0x138 && c != 0x149 && c != 0x178 && c != 0x17F) {
    return (c % 2 == 1) == odd_is_upper(c) ? c : c - 1;
  }
  if (c == 0x3C2) return 0x3A3;
  if (c >= 0x3B1 && c <= 0x3C9) return c - 32;
  if (c >= 0x430 && c <= 0x44F) return c - 32;
  if (c >= 0x450 && c <= 0x45F) return c - 80;
  return c;
}

template <typename Map>
std::string mapped(std::string_view text, Map map) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = code_point_bytes(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (bytes == 1 && byte >= 0x80) {
      out += text[at];
    } else if (const auto c = code_point_at(text, at);
               c == 0xDF && map(std::uint32_t{'a'}) == 'A') {
      out += "SS";
    } else {
      append_code_point(out, map(c));
    }
    at += bytes;
  }
  return out;
}

}  // namespace

std::string to_lower(std::string_view text) { return mapped(text, lower_of); }
std::string to_upper(std::string_view text) { return mapped(text, upper_of); }

std::string capitalize(std::string_view text) {
  const std::size_t first = byte_of(text, 1);
  return to_upper(text.substr(0, first)) + to_lower(text.substr(first));
}

bool is_upper(std::uint32_t c) { return lower_of(c) != c; }
bool is_lower(std::uint32_t c) { return upper_of(c) != c || c == 0xDF; }
bool is_digit(std::uint32_t c) { return c >= '0' && c <= '9'; }

bool is_letter(std::uint32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !is_space(c) && is_printable(c) &&
         !(c >= 0x2000 && c <= 0x2BFF) && !(c >= 0x3000 && c <= 0x3004) && c < 0x1F000;
}

bool is_space(std::uint32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_printable(std::uint32_t c) {
  if (c < 0x7F) return c >= 0x20;
  if (c <= 0xA0 || c == 0xAD) return false;
  if (is_space(c) || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E)) return false;
  if ((c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF0 && c <= 0xFFFB)) return false;
  return !(c >= 0xD800 && c <= 0xF8FF) && c < 0xE0000;
}

std::string_view strip(std::string_view text, bool left, bool right) {
  while (left && !text.empty() && is_space(code_point_at(text, 0))) {
    text.remove_prefix(code_point_bytes(text, 0));
  }
  while (right && !text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && text.size() - last < 4 &&
           (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) {
      --last;
    }
    if (last + code_point_bytes(text, last) != text.size()) last = text.size() - 1;
    const bool stray = last + 1 == text.size() && static_cast<unsigned char>(text[last]) >= 0x80;
    if (stray || !is_space(code_point_at(text, last))) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

}  // namespace tapeline::jinja
