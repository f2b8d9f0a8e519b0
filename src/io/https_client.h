// HttpsClient: GET requests to servers elsewhere, several at a time; none waits for another.
//
// Certificate and host name are always verified. Redirects are answers like others: whoever asked
// a vendor for JSON does not want the page that it sends people to. A proxy that the environment
// names is used, but never on the way to this machine itself. For a tapeline process on this
// machine there is http_client.h.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/http_message.h"

namespace tapeline::io {

struct HttpsGet {
  std::string url;  // http:// is the caller's to allow: parse_url does for this machine only
  HttpHeaders headers;
};

/// What became of a request.
struct HttpsDone {
  std::uint64_t id = 0;
  Result<HttpResponse> response;  // whatever its status is
};

/// threads: one at a time
class HttpsClient {
 public:
  struct Options {
    Duration time_max = std::chrono::seconds(10);  // of real time, from start to last byte
    std::string ca_file;                           // PEM: trusted beside the system's own
    std::size_t body_bytes_max = 1 << 20;
  };

  /// errors: not_found or invalid_argument where `ca_file` holds no certificate
  static Result<HttpsClient> open(Options options);
  HttpsClient(HttpsClient&&) noexcept;
  HttpsClient& operator=(HttpsClient&&) noexcept;
  ~HttpsClient();

  /// Begins a request; step() tells its end under `id`.
  void start(std::uint64_t id, const HttpsGet& get);

  /// Moves all requests on, and hands out those that have ended. An error is timed_out,
  /// unavailable (no connection, TLS, a broken one) or corrupt (no HTTP, or too long); its
  /// message holds neither path nor query nor header.
  ///
  /// blocks: until something moved, at most `wait`
  std::vector<HttpsDone> step(Duration wait);

  std::size_t under_way() const;

 private:
  struct State;
  explicit HttpsClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tapeline::io
