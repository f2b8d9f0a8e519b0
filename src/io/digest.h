// Digests of bytes, as lower-case hexadecimal text: names and fingerprints, not secrets.

#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace tapeline::io {

/// shape: 32 characters
std::string md5_hex(std::string_view bytes);

/// shape: 64 characters
std::string sha256_hex(std::string_view bytes);

/// The SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void add(std::string_view bytes);

  /// Of all bytes so far; more may follow.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tapeline::io
