// Tls: what the clients that leave this machine share: whom they trust.

#pragma once

#include <string>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace tapeline::io {

/// Adds the certificates of a PEM file to those that `context` trusts.
/// errors: not_found (no such file), invalid_argument (no certificate in it); the file is named
Status trust_file(ssl_ctx_st* context, const std::string& ca_file);

/// Whether a PEM file with certificates is there; fine where `ca_file` is empty.
Status check_ca_file(const std::string& ca_file);

/// Has `ssl` ask for `host` by name and accept no certificate but one of it.
Status expect_host(ssl_st* ssl, const std::string& host);

/// Why the other side's certificate was refused; empty where it was not.
std::string certificate_problem(const ssl_st* ssl);

}  // namespace tapeline::io
