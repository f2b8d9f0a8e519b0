#include "jinja/text_format.h"

#include <cmath>
#include <cstdio>

#include "jinja/failure.h"
#include "jinja/operations.h"
#include "jinja/unicode.h"

namespace tapeline::jinja {

namespace {

constexpr std::int64_t kPrecisionMax = 1000;

/// How a value is to be laid out, in both languages.
struct Layout {
  std::string fill = " ";
  char align = 0;  // < > ^ =
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  std::int64_t width = 0;
  char grouping = 0;  // , _
  std::int64_t precision = -1;
  char type = 0;
};

std::string grouped(const std::string& digits, char separator) {
  if (separator == 0) return digits;
  std::size_t whole = digits.find_first_of(".e");
  if (whole == std::string::npos) whole = digits.size();
  std::string out = digits.substr(whole);
  for (std::size_t i = 0; i < whole; ++i) {
    if (i > 0 && i % 3 == 0) out.insert(out.begin(), separator);
    out.insert(out.begin(), digits[whole - 1 - i]);
  }
  return out;
}

std::string padded(const std::string& body, const std::string& prefix, const Layout& layout,
                   char align) {
  const std::int64_t lacking = layout.width - text_length(body) - text_length(prefix);
  if (lacking <= 0) return prefix + body;
  const auto fill = [&layout](std::int64_t count) {
    std::string out;
    for (; count > 0; --count) out += layout.fill;
    return out;
  };
  switch (align) {
    case '<':
      return prefix + body + fill(lacking);
    case '^':
      return fill(lacking / 2) + prefix + body + fill(lacking - lacking / 2);
    case '=':
      return prefix + fill(lacking) + body;
    default:
      return fill(lacking) + prefix + body;
  }
}

std::string sign_prefix(bool negative, const Layout& layout) {
  if (negative) return "-";
  return layout.sign == '-' ? "" : std::string(1, layout.sign);
}

std::string in_base(std::uint64_t value, unsigned base, bool upper) {
  if (value == 0) return "0";
  const std::string_view digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  for (; value > 0; value /= base) out.insert(out.begin(), digits[value % base]);
  return out;
}

std::string laid_out_integer(std::int64_t value, const Layout& layout) {
  const std::uint64_t size =
      value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  std::string prefix = sign_prefix(value < 0, layout);
  std::string body;
  switch (layout.type) {
    case 'x':
    case 'X':
      body = in_base(size, 16, layout.type == 'X');
      break;
    case 'o':
      body = in_base(size, 8, false);
      break;
    case 'b':
      body = in_base(size, 2, false);
      break;
    default:
      body = grouped(std::to_string(size), layout.grouping);
      break;
  }
  const bool based =
      layout.type == 'x' || layout.type == 'X' || layout.type == 'o' || layout.type == 'b';
  if (layout.alternate && based) prefix += std::string("0") + layout.type;
  return padded(body, prefix, layout, layout.align == 0 ? '>' : layout.align);
}

std::string printed(const char* format, std::int64_t precision, double number) {
  std::string out(512 + static_cast<std::size_t>(precision), '\0');
  const int length =
      std::snprintf(out.data(), out.size(), format, static_cast<int>(precision), number);
  out.resize(static_cast<std::size_t>(length));
  return out;
}

// What a precision without a type asks for: %g with a digit after the point, and with an
// exponent one digit earlier.
std::string short_digits(double size, std::int64_t precision) {
  precision = std::max<std::int64_t>(precision, 1);
  std::string out = printed("%.*e", precision - 1, size);
  const std::size_t e = out.find('e');
  const int exponent = std::atoi(out.c_str() + e + 1);
  if (exponent < -4 || exponent >= precision - 1) {
    std::string digits = out.substr(0, e);
    if (digits.find('.') != std::string::npos) {
      digits.erase(digits.find_last_not_of('0') + 1);
      if (digits.back() == '.') digits.pop_back();
    }
    return digits + out.substr(e);
  }
  out = printed("%.*g", precision, size);
  return out.find('.') == std::string::npos ? out + ".0" : out;
}

std::string float_digits(double size, const Layout& layout) {
  const char type = layout.type == 0 || layout.type == 'n' ? 'g' : layout.type;
  if (std::isnan(size)) return std::isupper(static_cast<unsigned char>(type)) ? "NAN" : "nan";
  if (std::isinf(size)) return std::isupper(static_cast<unsigned char>(type)) ? "INF" : "inf";
  if (layout.type == 0 && layout.precision < 0) return Value(size).text();
  if (layout.type == 0) return short_digits(size, layout.precision);
  const std::string format =
      std::string(layout.alternate ? "%#.*" : "%.*") + (type == '%' ? 'f' : type);
  const std::string out = printed(format.c_str(), layout.precision < 0 ? 6 : layout.precision,
                                  type == '%' ? size * 100 : size);
  return type == '%' ? out + "%" : out;
}

std::string laid_out_float(double value, const Layout& layout) {
  const std::string body = grouped(float_digits(std::fabs(value), layout), layout.grouping);
  return padded(body, sign_prefix(std::signbit(value) && !std::isnan(value), layout), layout,
                layout.align == 0 ? '>' : layout.align);
}

std::string laid_out_text(const std::string& text, const Layout& layout) {
  const std::string cut =
      layout.precision < 0 ? text : text.substr(0, byte_of(text, layout.precision));
  return padded(cut, "", layout, layout.align == 0 ? '<' : layout.align);
}

std::int64_t read_count(std::string_view text, std::size_t& at) {
  std::int64_t value = 0;
  while (at < text.size() && is_digit(static_cast<unsigned char>(text[at]))) {
    value = std::min<std::int64_t>(value * 10 + (text[at++] - '0'), 1LL << 40);
  }
  return value;
}

void require_fits(const Layout& layout, std::size_t bytes_max) {
  if (layout.precision > kPrecisionMax) fail("the precision is over {}", kPrecisionMax);
  if (layout.width > static_cast<std::int64_t>(bytes_max / 4)) {
    fail("the text would be longer than {} bytes", bytes_max);
  }
}

}  // namespace

namespace {

/// One run of the % operator.
class PercentFormat {
 public:
  PercentFormat(std::size_t bytes_max, std::string_view format, const Value& values)
      : bytes_max_(bytes_max), format_(format), values_(values) {
    if (values.is_tuple())
      items_ = values.as_tuple();
    else
      items_ = {values};
  }

  std::string run() {
    while (at_ < format_.size()) {
      if (out_.size() > bytes_max_) fail("the text would be longer than {} bytes", bytes_max_);
      if (format_[at_] != '%')
        out_ += format_[at_++];
      else if (++at_ < format_.size() && format_[at_] == '%')
        out_ += format_[at_++];
      else
        directive();
    }
    const bool mapping =
        values_.is_dict() || values_.is_list() || values_.is_object() || values_.is_undefined();
    if (!by_key_ && !mapping && used_ < items_.size()) {
      fail("not all arguments converted during string formatting");
    }
    return std::move(out_);
  }

 private:
  const Value& next() {
    if (used_ >= items_.size()) fail("not enough arguments for format string");
    return items_[used_++];
  }

  std::int64_t count() {
    if (at_ < format_.size() && format_[at_] == '*') {
      ++at_;
      return require_integer(next());
    }
    return read_count(format_, at_);
  }

  void directive() {
    Layout layout;
    std::optional<Value> keyed;
    if (at_ < format_.size() && format_[at_] == '(') {
      const std::size_t close = format_.find(')', at_);
      if (close == std::string_view::npos) fail("incomplete format key");
      if (!values_.is_dict()) fail("format requires a mapping");
      const std::string key(format_.substr(at_ + 1, close - at_ - 1));
      keyed = values_.find(key);
      if (!keyed) fail("the format's key '{}' is not in the mapping", key);
      by_key_ = true;
      at_ = close + 1;
    }
    bool left = false;
    for (; at_ < format_.size(); ++at_) {
      const char c = format_[at_];
      if (c == '-')
        left = true;
      else if (c == '0')
        layout.zero = true;
      else if (c == '+')
        layout.sign = '+';
      else if (c == ' ' && layout.sign != '+')
        layout.sign = ' ';
      else if (c == '#')
        layout.alternate = true;
      else if (c != ' ')
        break;
    }
    layout.width = count();
    if (layout.width < 0) {
      left = true;
      layout.width = -layout.width;
    }
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      layout.precision = std::max<std::int64_t>(count(), 0);
    }
    while (at_ < format_.size() && (format_[at_] == 'l' || format_[at_] == 'h')) ++at_;
    if (at_ >= format_.size()) fail("incomplete format");
    layout.type = format_[at_++];
    layout.align = left ? '<' : '>';
    require_fits(layout, bytes_max_);
    const Value value = keyed ? *keyed : next();
    out_ += converted(value, layout, left);
  }

  static std::string converted(const Value& value, Layout layout, bool left) {
    switch (layout.type) {
      case 's':
        return laid_out_text(value.text(), layout);
      case 'r':
      case 'a':
        return laid_out_text(value.repr(), layout);
      case 'c':
        if (value.is_string() && text_length(value.as_string()) == 1) {
          return laid_out_text(value.as_string(), layout);
        }
        {
          std::string text;
          append_code_point(text, static_cast<std::uint32_t>(require_integer(value) & 0x1FFFFF));
          return laid_out_text(text, layout);
        }
      default:
        break;
    }
    require_defined(value);
    const auto number = as_number(value);
    if (layout.zero && !left) {
      layout.align = '=';
      layout.fill = "0";
    }
    if (std::string_view("diuxXo").find(layout.type) != std::string_view::npos) {
      if (!number || (value.is_double() &&
                      std::string_view("diu").find(layout.type) == std::string_view::npos)) {
        fail("%{} format: a real number is required, not {}", layout.type, value.type_name());
      }
      if (value.is_double()) {
        if (!std::isfinite(*number) || std::fabs(*number) >= 9.2e18) {
          fail("the number {} does not fit into 64 bits", value.text());
        }
        return laid_out_digits(static_cast<std::int64_t>(*number), layout);
      }
      return laid_out_digits(*as_integer(value), layout);
    }
    if (std::string_view("eEfFgG").find(layout.type) != std::string_view::npos) {
      if (!number) fail("must be real number, not {}", value.type_name());
      return laid_out_float(*number, layout);
    }
    fail("unsupported format character '{}'", layout.type);
  }

  // A precision asks for that many digits at least.
  static std::string laid_out_digits(std::int64_t value, Layout layout) {
    if (layout.type == 'i' || layout.type == 'u') layout.type = 'd';
    if (layout.precision >= 0) {
      Layout plain = layout;
      plain.width = layout.precision + (value < 0 ? 1 : 0);
      plain.align = '=';
      plain.fill = "0";
      return padded(laid_out_integer(value, plain), "", layout,
                    layout.align == '=' ? '>' : layout.align);
    }
    return laid_out_integer(value, layout);
  }

  std::size_t bytes_max_;
  std::string_view format_;
  const Value& values_;
  std::vector<Value> items_;
  std::size_t used_ = 0;
  std::size_t at_ = 0;
  bool by_key_ = false;
  std::string out_;
};

Layout read_layout(std::string_view spec) {
  Layout layout;
  std::size_t at = 0;
  const auto is_align = [&](std::size_t place) {
    return place < spec.size() &&
           std::string_view("<>^=").find(spec[place]) != std::string_view::npos;
  };
  if (!spec.empty()) {
    const std::size_t first = code_point_bytes(spec, 0);
    if (is_align(first)) {
      layout.fill = spec.substr(0, first);
      layout.align = spec[first];
      at = first + 1;
    } else if (is_align(0)) {
      layout.align = spec[at++];
    }
  }
  const auto taken = [&](char c) { return at < spec.size() && spec[at] == c && (++at, true); };
  if (taken('+'))
    layout.sign = '+';
  else if (taken(' '))
    layout.sign = ' ';
  else
    taken('-');
  layout.alternate = taken('#');
  if (taken('0')) {
    layout.zero = true;
    if (layout.align == 0) {
      layout.fill = "0";
      layout.align = '=';
    }
  }
  layout.width = read_count(spec, at);
  if (taken(','))
    layout.grouping = ',';
  else if (taken('_'))
    layout.grouping = '_';
  if (taken('.')) layout.precision = read_count(spec, at);
  if (at < spec.size()) layout.type = spec[at++];
  if (at != spec.size()) fail("invalid format specifier '{}'", spec);
  return layout;
}

std::string formatted(const Value& value, std::string_view spec, std::size_t bytes_max) {
  if (spec.empty()) return value.text();
  Layout layout = read_layout(spec);
  require_fits(layout, bytes_max);
  const auto type_is = [&layout](std::string_view types) {
    return layout.type == 0 || types.find(layout.type) != std::string_view::npos;
  };
  if (value.is_string() && type_is("s")) {
    if (layout.sign != '-') fail("sign not allowed in string format specifier");
    if (layout.grouping != 0) fail("cannot specify '{}' with 's'", layout.grouping);
    if (layout.zero && layout.align == '=') layout.align = '<';
    if (layout.align == '=') fail("'=' alignment not allowed in string format specifier");
    return laid_out_text(value.as_string(), layout);
  }
  if (const auto integer = as_integer(value)) {
    if (type_is("dxXobn")) {
      if (layout.precision >= 0) fail("precision not allowed in integer format specifier");
      return laid_out_integer(*integer, layout);
    }
  }
  const auto number = as_number(value);
  if (number && type_is("eEfFgGn%")) return laid_out_float(*number, layout);
  if (!number && !value.is_string()) {
    fail("unsupported format string passed to {}.__format__", value.type_name());
  }
  fail("unknown format code '{}' for object of type '{}'", layout.type, value.type_name());
}

/// One run of str.format().
class BraceFormat {
 public:
  BraceFormat(std::size_t bytes_max, const Arguments& arguments)
      : bytes_max_(bytes_max), arguments_(arguments) {}

  std::string run(std::string_view format, int depth) {
    std::string out;
    for (std::size_t at = 0; at < format.size();) {
      if (out.size() > bytes_max_) fail("the text would be longer than {} bytes", bytes_max_);
      const char c = format[at];
      if (c != '{' && c != '}') {
        out += c;
        ++at;
      } else if (at + 1 < format.size() && format[at + 1] == c) {
        out += c;
        at += 2;
      } else if (c == '}') {
        fail("single '}}' encountered in format string");
      } else {
        const std::size_t close = closing(format, at);
        out += field(format.substr(at + 1, close - at - 1), depth);
        at = close + 1;
      }
    }
    return out;
  }

 private:
  static std::size_t closing(std::string_view format, std::size_t open) {
    int depth = 0;
    for (std::size_t at = open; at < format.size(); ++at) {
      if (format[at] == '{') ++depth;
      if (format[at] == '}' && --depth == 0) return at;
    }
    fail("expected '}}' before end of string");
  }

  std::string field(std::string_view text, int depth) {
    if (depth > 1) fail("max string recursion exceeded");
    std::size_t end = 0;
    bool bracket = false;
    for (; end < text.size(); ++end) {
      if (text[end] == '[') bracket = true;
      if (text[end] == ']') bracket = false;
      if (!bracket && (text[end] == ':' || text[end] == '!')) break;
    }
    Value value = looked_up(text.substr(0, end));
    if (end < text.size() && text[end] == '!') {
      const char conversion = end + 1 < text.size() ? text[end + 1] : ' ';
      if (conversion == 'r' || conversion == 'a')
        value = Value(value.repr());
      else if (conversion == 's')
        value = Value(value.text());
      else
        fail("unknown conversion specifier '{}'", conversion);
      end += 2;
      if (end < text.size() && text[end] != ':') fail("expected ':' after conversion specifier");
    }
    const std::string spec = end < text.size() ? run(text.substr(end + 1), depth + 1) : "";
    return formatted(value, spec, bytes_max_);
  }

  Value looked_up(std::string_view path) {
    std::size_t end = path.find_first_of(".[");
    if (end == std::string_view::npos) end = path.size();
    Value value = first(std::string(path.substr(0, end)));
    while (end < path.size()) {
      if (path[end] == '.') {
        std::size_t next = path.find_first_of(".[", end + 1);
        if (next == std::string_view::npos) next = path.size();
        if (value.is_dict()) fail("'dict' object has no attribute in a format string");
        value = get_attribute(value, std::string(path.substr(end + 1, next - end - 1)));
        end = next;
      } else {
        const std::size_t close = path.find(']', end);
        if (path[end] != '[' || close == std::string_view::npos)
          fail("missing ']' in format string");
        const std::string key(path.substr(end + 1, close - end - 1));
        const bool number =
            !key.empty() && key.find_first_not_of("0123456789") == std::string::npos;
        value = get_item(value, number && key.size() < 18
                                    ? Value(static_cast<std::int64_t>(std::stoll(key)))
                                    : Value(key));
        end = close + 1;
      }
      require_defined(value);
    }
    return value;
  }

  Value first(const std::string& name) {
    if (name.empty() || name.find_first_not_of("0123456789") == std::string::npos) {
      const bool counted = name.empty();
      if (counted ? numbered_ : next_ > 0) {
        fail("cannot mix automatic and numbered fields in a format string");
      }
      numbered_ = !counted;
      const std::size_t index = counted ? next_++ : name.size() < 9 ? std::stoul(name) : SIZE_MAX;
      if (index >= arguments_.positional.size()) {
        fail("replacement index {} out of range for positional args tuple", index);
      }
      return arguments_.positional[index];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    fail("the format's field '{}' is not among the arguments", name);
  }

  std::size_t bytes_max_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
  bool numbered_ = false;
};

}  // namespace

std::string percent_format(std::size_t bytes_max, std::string_view format, const Value& values) {
  return PercentFormat(bytes_max, format, values).run();
}

std::string brace_format(std::size_t bytes_max, std::string_view format,
                         const Arguments& arguments) {
  return BraceFormat(bytes_max, arguments).run(format, 0);
}

}  // namespace tapeline::jinja
