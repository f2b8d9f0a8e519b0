#include "io/digest.h"

#include <openssl/evp.h>

#include <array>

namespace tapeline::io {
namespace {

using Digest = std::array<unsigned char, EVP_MAX_MD_SIZE>;

std::string to_hex(const Digest& digest, unsigned int size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

std::string digest_hex(std::string_view bytes, const EVP_MD* kind) {
  Digest digest{};
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, kind, nullptr);
  return to_hex(digest, size);
}

}  // namespace

std::string md5_hex(std::string_view bytes) { return digest_hex(bytes, EVP_md5()); }

std::string sha256_hex(std::string_view bytes) { return digest_hex(bytes, EVP_sha256()); }

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr);
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

std::string Sha256::hex() const {
  const State copy;  // ending a digest ends it for good
  EVP_MD_CTX_copy_ex(copy.context, state_->context);
  Digest digest{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(copy.context, digest.data(), &size);
  return to_hex(digest, size);
}

}  // namespace tapeline::io
