// The general way to read a message: any JSON that RFC 8259 allows, by simdjson.

#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "wire/draft.h"

namespace tapeline::wire {

/// Reads any message. Of a field that comes more than once, the last counts.
///
/// threads: one at a time
class AnyMessage {
 public:
  AnyMessage();
  ~AnyMessage();

  /// Fills `draft`, or answers why that cannot be.
  /// lifetime: `draft` looks into `value`, and into this until forget()
  std::optional<DeadLetter> read(std::string_view value, Draft& draft);

  void forget() { unescaped_.clear(); }

 private:
  struct Parser;

  /// `text` as it stands in `value`; if escapes hide it there, a copy.
  std::string_view kept(std::string_view text, std::string_view value);

  std::unique_ptr<Parser> parser_;
  std::deque<std::string> unescaped_;
};

}  // namespace tapeline::wire
