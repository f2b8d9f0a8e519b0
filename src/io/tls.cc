#include "io/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <memory>

namespace tapeline::io {

Status trust_file(ssl_ctx_st* context, const std::string& ca_file) {
  if (ca_file.empty()) return Ok{};
  if (access(ca_file.c_str(), R_OK) != 0) {
    return Error{ErrorCode::not_found, fmt::format("the CA file '{}' cannot be read", ca_file),
                 "Name a readable PEM file, or leave the setting empty."};
  }
  if (SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr) == 1) return Ok{};
  ERR_clear_error();
  return Error{ErrorCode::invalid_argument,
               fmt::format("the CA file '{}' holds no certificate", ca_file),
               "It has to be PEM: -----BEGIN CERTIFICATE-----."};
}

Status check_ca_file(const std::string& ca_file) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  SSL_CTX_free);
  return trust_file(context.get(), ca_file);
}

Status expect_host(ssl_st* ssl, const std::string& host) {
  X509_VERIFY_PARAM* const param = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1;
  ERR_clear_error();
  const bool done = is_address || (X509_VERIFY_PARAM_set1_host(param, host.c_str(), 0) == 1 &&
                                   SSL_set_tlsext_host_name(ssl, host.c_str()) == 1);
  SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
  if (done) return Ok{};
  ERR_clear_error();
  return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no host name", host), ""};
}

std::string certificate_problem(const ssl_st* ssl) {
  const long result = SSL_get_verify_result(ssl);
  return result == X509_V_OK ? "" : X509_verify_cert_error_string(result);
}

}  // namespace tapeline::io
