#include "jinja/lexer.h"

#include <array>
#include <optional>

#include "jinja/failure.h"
#include "jinja/unicode.h"

namespace tapeline::jinja {

namespace {

using Kind = Token::Kind;

constexpr std::array<std::string_view, 25> kSigns = {
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ","};

bool is_name_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit_byte(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& name) : source_(source), name_(name) {
    if (source_.ends_with("\r\n"))
      source_.remove_suffix(2);
    else if (source_.ends_with('\n') || source_.ends_with('\r'))
      source_.remove_suffix(1);
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) outside();
    add(Kind::end, "", at_, at_);
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail_here(std::size_t position, const std::string& message,
                              const std::string& hint = "") {
    fail_at(name_, source_, position, message, hint);
  }

  // The line of a byte; asked in rising order.
  int line_at(std::size_t position) {
    for (; counted_ < position && counted_ < source_.size(); ++counted_) {
      const bool carriage = source_[counted_] == '\r' &&
                            (counted_ + 1 == source_.size() || source_[counted_ + 1] != '\n');
      if (source_[counted_] == '\n' || carriage) ++line_;
    }
    return line_;
  }

  void add(Kind kind, std::string text, std::size_t begin, std::size_t end) {
    tokens_.push_back({kind, std::move(text), line_at(begin), begin, end});
  }

  void add_data(std::string_view text, std::size_t begin) {
    if (text.empty()) return;
    add(Kind::data, with_unix_newlines(text), begin, begin + text.size());
  }

  static std::string with_unix_newlines(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\r') {
        out += text[i];
      } else {
        out += '\n';
        if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
      }
    }
    return out;
  }

  bool starts_with(std::string_view text) const { return source_.substr(at_).starts_with(text); }
  void skip_space() {
    while (at_ < source_.size() && is_space(code_point_at(source_, at_))) {
      at_ += code_point_bytes(source_, at_);
    }
  }

  // Text up to the next tag, then that tag.
  void outside() {
    const std::size_t begin = at_;
    std::size_t open = begin;
    for (;; ++open) {
      open = source_.find('{', open);
      if (open == std::string_view::npos || open + 1 >= source_.size()) {
        add_data(source_.substr(begin), begin);
        at_ = source_.size();
        return;
      }
      const char next = source_[open + 1];
      if (next == '{' || next == '%' || next == '#') break;
    }
    const char tag = source_[open + 1];
    std::string_view data = source_.substr(begin, open - begin);
    at_ = open + 2;
    if (starts_with("-")) data = strip(data, false, true);
    add_data(data, begin);
    if (starts_with("-") || starts_with("+")) ++at_;
    if (tag == '#') {
      comment(open);
    } else if (tag == '%' && raw_begins()) {
      raw(open);
    } else {
      inside(tag == '%', open);
    }
  }

  void comment(std::size_t open) {
    const std::size_t close = source_.find("#}", at_);
    if (close == std::string_view::npos) fail_here(open, "missing end of comment tag");
    const bool cut = close > at_ && source_[close - 1] == '-';
    at_ = close + 2;
    if (cut) skip_space();
  }

  // Whether the block tag just opened is `raw`; then the place is after it.
  bool raw_begins() {
    const std::size_t before = at_;
    skip_space();
    if (starts_with("raw")) {
      at_ += 3;
      skip_space();
      if (starts_with("-%}")) {
        at_ += 3;
        skip_space();
        return true;
      }
      if (starts_with("%}")) {
        at_ += 2;
        return true;
      }
    }
    at_ = before;
    return false;
  }

  void raw(std::size_t open) {
    const std::size_t begin = at_;
    for (std::size_t close = begin;; ++close) {
      close = source_.find("{%", close);
      if (close == std::string_view::npos) fail_here(open, "missing end of raw directive");
      at_ = close + 2;
      std::string_view data = source_.substr(begin, close - begin);
      if (starts_with("-")) data = strip(data, false, true);
      if (end_tag("endraw")) {
        add_data(data, begin);
        return;
      }
    }
  }

  // After "{%": the rest of an end tag without arguments.
  bool end_tag(std::string_view word) {
    if (starts_with("-") || starts_with("+")) ++at_;
    skip_space();
    if (!starts_with(word)) return false;
    at_ += word.size();
    skip_space();
    const bool cut = starts_with("-");
    if (cut || starts_with("+")) ++at_;
    if (!starts_with("%}")) return false;
    at_ += 2;
    if (cut) skip_space();
    return true;
  }

  void inside(bool block, std::size_t open) {
    const std::size_t first = tokens_.size();
    add(block ? Kind::block_begin : Kind::variable_begin, "", open, at_);
    brackets_.clear();
    const std::string_view close = block ? "%}" : "}}";
    for (;;) {
      if (brackets_.empty() && closes(close, block)) break;
      if (at_ >= source_.size()) {
        fail_here(open, block ? "the tag is not closed: expected '%}'"
                              : "the print statement is not closed: expected '}}'");
      }
      token();
    }
    const bool docs = block && tokens_.size() == first + 4 && tokens_[first + 1].is_name("docs");
    if (docs) docs_body(open);
  }

  bool closes(std::string_view close, bool block) {
    const bool cut = starts_with("-");
    const std::size_t signs = cut || (block && starts_with("+")) ? 1 : 0;
    if (!source_.substr(std::min(at_ + signs, source_.size())).starts_with(close)) return false;
    const std::size_t begin = at_;
    at_ += signs + 2;
    add(block ? Kind::block_end : Kind::variable_end, "", begin, at_);
    if (cut) skip_space();
    return true;
  }

  // The text of a docs block up to its end tag, which becomes tokens as usual.
  void docs_body(std::size_t open) {
    const std::size_t begin = at_;
    for (std::size_t close = begin;; ++close) {
      close = source_.find("{%", close);
      if (close == std::string_view::npos) {
        fail_here(open, "the docs block is not closed: expected '{% enddocs %}'");
      }
      at_ = close + 2;
      if (end_tag("enddocs")) {
        at_ = close;
        add_data(source_.substr(begin, close - begin), begin);
        return;
      }
    }
  }

  void token() {
    const char c = source_[at_];
    if (is_space(code_point_at(source_, at_))) return skip_space();
    if (is_digit_byte(c)) return number();
    if (is_name_byte(c)) return word();
    if (c == '"' || c == '\'') return string(c);
    for (const std::string_view sign : kSigns) {
      if (!starts_with(sign)) continue;
      bracket(sign);
      add(Kind::sign, std::string(sign), at_, at_ + sign.size());
      at_ += sign.size();
      return;
    }
    fail_here(at_, fmt::format("unexpected character '{}'",
                               source_.substr(at_, code_point_bytes(source_, at_))));
  }

  void bracket(std::string_view sign) {
    if (sign == "(") brackets_ += ')';
    if (sign == "[") brackets_ += ']';
    if (sign == "{") brackets_ += '}';
    if (sign != ")" && sign != "]" && sign != "}") return;
    if (brackets_.empty()) fail_here(at_, fmt::format("unexpected '{}'", sign));
    if (brackets_.back() != sign[0]) {
      fail_here(at_, fmt::format("unexpected '{}', expected '{}'", sign, brackets_.back()));
    }
    brackets_.pop_back();
  }

  // Digits with single underscores between them.
  std::size_t digits(std::size_t from, int base) const {
    std::size_t end = from;
    const auto digit = [&](std::size_t at) {
      if (at >= source_.size()) return false;
      const auto c = static_cast<unsigned char>(source_[at]);
      if (base == 16) return std::isxdigit(c) != 0;
      return c >= '0' && c < '0' + base;
    };
    while (digit(end) || (end > from && source_.substr(end, 1) == "_" && digit(end + 1))) ++end;
    return end;
  }

  void number() {
    const std::size_t begin = at_;
    const char mark = at_ + 1 < source_.size() ? source_[at_ + 1] : ' ';
    const int base = mark == 'x' || mark == 'X'   ? 16
                     : mark == 'o' || mark == 'O' ? 8
                     : mark == 'b' || mark == 'B' ? 2
                                                  : 10;
    std::size_t end = digits(begin, 10);
    Kind kind = Kind::integer;
    if (source_[begin] == '0' && base != 10) {
      std::size_t from = begin + 2;
      if (from < source_.size() && source_[from] == '_') ++from;
      const std::size_t marked = digits(from, base);
      if (marked > from) end = marked;
    } else {
      const std::size_t whole = end;
      const bool after_dot = begin > 0 && source_[begin - 1] == '.';
      if (!after_dot && end + 1 < source_.size() && source_[end] == '.' &&
          is_digit_byte(source_[end + 1])) {
        end = digits(end + 1, 10);
      }
      if (!after_dot && end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
        std::size_t power = end + 1;
        if (power < source_.size() && (source_[power] == '+' || source_[power] == '-')) ++power;
        const std::size_t last = digits(power, 10);
        if (last > power) end = last;
      }
      if (end != whole)
        kind = Kind::floating;
      else if (source_[begin] == '0')
        while (end > begin + 1 &&
               source_.substr(begin, end - begin).find_first_not_of("0_") != std::string_view::npos)
          --end;
    }
    at_ = end;
    std::string text;
    for (const char c : source_.substr(begin, end - begin)) {
      if (c != '_') text += c;
    }
    add(kind, std::move(text), begin, end);
  }

  void word() {
    const std::size_t begin = at_;
    while (at_ < source_.size() && is_name_byte(source_[at_])) {
      const std::uint32_t c = code_point_at(source_, at_);
      if (c >= 0x80 && !is_letter(c)) {
        fail_here(at_, fmt::format("unexpected character '{}'",
                                   source_.substr(at_, code_point_bytes(source_, at_))));
      }
      at_ += code_point_bytes(source_, at_);
    }
    add(Kind::name, std::string(source_.substr(begin, at_ - begin)), begin, at_);
  }

  void string(char quote) {
    const std::size_t begin = at_++;
    while (at_ < source_.size() && source_[at_] != quote) at_ += source_[at_] == '\\' ? 2 : 1;
    if (at_ >= source_.size()) fail_here(begin, "the string is not closed");
    const std::string raw = with_unix_newlines(source_.substr(begin + 1, at_ - begin - 1));
    ++at_;
    add(Kind::string, raw.find('\\') == std::string::npos ? raw : unescape(raw, begin), begin, at_);
  }

  std::string unescape(const std::string& raw, std::size_t begin) {
    std::string out;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '\\') {
        out += raw[i];
        continue;
      }
      const char c = raw[++i];
      constexpr std::string_view kFrom = "ntrabfv\\'\"";
      constexpr std::string_view kTo = "\n\t\r\a\b\f\v\\'\"";
      if (const std::size_t known = kFrom.find(c); known != std::string_view::npos) {
        out += kTo[known];
      } else if (c == '\n') {
        continue;
      } else if (c >= '0' && c <= '7') {
        std::uint32_t value = 0;
        std::size_t last = i;
        for (; last < raw.size() && last < i + 3 && raw[last] >= '0' && raw[last] <= '7'; ++last) {
          value = value * 8 + static_cast<std::uint32_t>(raw[last] - '0');
        }
        append_code_point(out, value);
        i = last - 1;
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const std::size_t wanted = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        const std::string hex = raw.substr(i + 1, wanted);
        if (hex.size() < wanted ||
            hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
          fail_here(begin, fmt::format("the escape '\\{}' needs {} hexadecimal digits", c, wanted));
        }
        const auto value = static_cast<std::uint32_t>(std::stoul(hex, nullptr, 16));
        if (value > 0x10FFFF) fail_here(begin, fmt::format("'\\{}{}' is no character", c, hex));
        append_code_point(out, value);
        i += wanted;
      } else if (c == 'N') {
        fail_here(begin, "characters by name ('\\N{...}') are not known here",
                  "Write the character itself, or its number as \\uXXXX.");
      } else {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  std::string_view source_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::size_t counted_ = 0;
  int line_ = 1;
  std::string brackets_;  // closing signs that are due
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, const std::string& name) {
  return Lexer(source, name).run();
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case Kind::data:
      return "text";
    case Kind::variable_begin:
      return "'{{'";
    case Kind::variable_end:
      return "end of print statement";
    case Kind::block_begin:
      return "'{%'";
    case Kind::block_end:
      return "end of statement block";
    case Kind::end:
      return "end of template";
    case Kind::string:
      return "a string";
    case Kind::name:
    case Kind::integer:
    case Kind::floating:
    case Kind::sign:
      break;
  }
  return "'" + token.text + "'";
}

void fail_at(const std::string& name, std::string_view source, std::size_t position,
             const std::string& message, const std::string& hint) {
  int line = 1;
  std::size_t line_begin = 0;
  for (std::size_t i = 0; i < position && i < source.size(); ++i) {
    const bool carriage = source[i] == '\r' && (i + 1 == source.size() || source[i + 1] != '\n');
    if (source[i] != '\n' && !carriage) continue;
    ++line;
    line_begin = i + 1;
  }
  throw Failure{
      Error{ErrorCode::invalid_argument,
            fmt::format("{}:{}:{}: {}", name, line, position - line_begin + 1, message), hint},
      true};
}

}  // namespace tapeline::jinja
