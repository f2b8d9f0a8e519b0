// Result<T>: a value or an Error. Every function that can fail returns one.
//
// Ours rather than std::expected: GCC 12 has no and_then, and clang 14, which
// runs the fuzzers and the checks, does not see std::expected at all. The names
// are std::expected's, so that this file can become an alias one day.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tapeline {

/// What a caller can do about a failure. There is no "other".
enum class ErrorCode : std::uint8_t {
  invalid_argument,  // the caller's mistake; retrying cannot help
  not_found,
  already_exists,
  corrupt,      // stored or received bytes break their format
  unavailable,  // the other side is down, full or throttling; retrying may help
  timed_out,
  cancelled,  // someone asked us to stop
  unsupported,
};

/// The code's name, as it stands in logs and in the API.
constexpr std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::already_exists:
      return "already_exists";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::timed_out:
      return "timed_out";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::unsupported:
      return "unsupported";
  }
  return "unknown";
}

/// Why something did not work.
struct Error {
  ErrorCode code;
  std::string message;  // what failed: lower case, no full stop, names quoted
  std::string hint;     // what to do about it: a whole sentence, or empty

  bool retryable() const { return code == ErrorCode::unavailable || code == ErrorCode::timed_out; }

  /// Says what we were doing when the error came up from below.
  Error while_doing(std::string_view task) && {
    message = std::string(task) + ": " + message;
    return std::move(*this);
  }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  using Value = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

  /// The value, or `fallback` where there is an error.
  T value_or(T fallback) && {
    return has_value() ? std::get<0>(std::move(state_)) : std::move(fallback);
  }

 private:
  std::variant<T, Error> state_;
};

/// The value of a function that either works or fails and has nothing to hand back.
struct Ok {};
using Status = Result<Ok>;

}  // namespace tapeline

/// Unwraps a Result, or returns its Error from the enclosing function.
/// One TRY per statement; never nested.
#define TRY(expression)                      \
  __extension__({                            \
    auto try_result_ = (expression);         \
    if (!try_result_) [[unlikely]]           \
      return std::move(try_result_).error(); \
    *std::move(try_result_);                 \
  })

/// TRY for a Status: returns its Error from the enclosing function, hands back nothing.
#define TRY_STATUS(expression)               \
  do {                                       \
    auto try_result_ = (expression);         \
    if (!try_result_) [[unlikely]]           \
      return std::move(try_result_).error(); \
  } while (false)
