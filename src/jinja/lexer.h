// The lexer: a template's source as tokens, with white space control and raw blocks done.
//
// Text outside of tags is one token of kind `data`; newlines in it are "\n" whatever the
// source has. Places are bytes of the source as it was given.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tapeline::jinja {

struct Token {
  enum class Kind : std::uint8_t {
    data,
    variable_begin,
    variable_end,
    block_begin,
    block_end,
    name,
    integer,
    floating,
    string,
    sign,  // an operator or bracket
    end,
  };
  Kind kind = Kind::end;
  std::string text;  // strings without quotes, escapes resolved
  int line = 1;
  std::size_t begin = 0;
  std::size_t end = 0;  // of tags: without the white space that they cut

  bool is_sign(std::string_view sign) const { return kind == Kind::sign && text == sign; }
  bool is_name(std::string_view name) const { return kind == Kind::name && text == name; }
};

/// The tokens, the last of kind `end`. Throws Failure, placed.
std::vector<Token> tokenize(std::string_view source, const std::string& name);

/// What a reader is told of a token: 'x', end of print statement, ...
std::string describe(const Token& token);

/// Throws a Failure that names the place: "models/a.sql:3:7: ...".
[[noreturn]] void fail_at(const std::string& name, std::string_view source, std::size_t position,
                          const std::string& message, const std::string& hint = "");

}  // namespace tapeline::jinja
