// The only file that includes curl.

#include "io/https_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <array>
#include <map>

#include "io/tls.h"
#include "io/url.h"

namespace tapeline::io {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

struct Transfer {
  std::uint64_t id = 0;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::size_t body_bytes_max = 0;
  bool too_long = false;
  std::string host;  // all that an error says of where it went
  HttpResponse response;
  std::array<char, CURL_ERROR_SIZE> why{};

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    if (easy) curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }
};

std::size_t take_body(char* bytes, std::size_t, std::size_t count, void* to) {
  auto& transfer = *static_cast<Transfer*>(to);
  if (transfer.response.body.size() + count > transfer.body_bytes_max) {
    transfer.too_long = true;
    return 0;
  }
  transfer.response.body.append(bytes, count);
  return count;
}

std::size_t take_header(char* bytes, std::size_t, std::size_t count, void* to) {
  constexpr std::size_t kHeadersMax = 200;
  auto& headers = static_cast<Transfer*>(to)->response.headers;
  const std::string_view line(bytes, count);
  if (line.starts_with("HTTP/")) headers.clear();  // a proxy's answer, or a 1xx, came before
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || headers.size() >= kHeadersMax) return count;
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && std::string_view(" \t\r\n").find(value.back()) != std::string_view::npos)
    value.remove_suffix(1);
  headers.emplace_back(std::string(line.substr(0, colon)), std::string(value));
  return count;
}

CURLcode take_context(CURL*, void* context, void* ca_file) {
  const Status trusted =
      trust_file(static_cast<ssl_ctx_st*>(context), *static_cast<const std::string*>(ca_file));
  return trusted ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

Error error_of(CURLcode code, const Transfer& transfer) {
  if (transfer.too_long) {
    return Error{ErrorCode::corrupt,
                 fmt::format("the answer of '{}' is longer than {} bytes", transfer.host,
                             transfer.body_bytes_max),
                 ""};
  }
  const std::string why = transfer.why[0] ? transfer.why.data() : curl_easy_strerror(code);
  const std::string message = fmt::format("asking '{}' failed: {}", transfer.host, why);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Error{ErrorCode::timed_out, fmt::format("asking '{}' took too long", transfer.host),
                   ""};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return Error{ErrorCode::unavailable, message,
                   "Its certificate is not trusted; where that is yours to say, name the CA."};
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
      return Error{ErrorCode::corrupt, message, ""};
    default:
      return Error{ErrorCode::unavailable, message, ""};
  }
}

}  // namespace

struct HttpsClient::State {
  Options options;
  CURLM* multi = nullptr;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers;

  ~State() {
    for (auto& [easy, transfer] : transfers) curl_multi_remove_handle(multi, easy);
    transfers.clear();
    if (multi) curl_multi_cleanup(multi);
  }
};

HttpsClient::HttpsClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpsClient::HttpsClient(HttpsClient&&) noexcept = default;
HttpsClient& HttpsClient::operator=(HttpsClient&&) noexcept = default;
HttpsClient::~HttpsClient() = default;

Result<HttpsClient> HttpsClient::open(Options options) {
  TRY_STATUS(check_ca_file(options.ca_file));
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return Error{ErrorCode::unavailable, "libcurl did not start", ""};
  }
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  state->multi = curl_multi_init();
  return HttpsClient(std::move(state));
}

void HttpsClient::start(std::uint64_t id, const HttpsGet& get) {
  auto owned = std::make_unique<Transfer>();
  Transfer& transfer = *owned;
  CURL* const easy = curl_easy_init();
  transfer.id = id;
  transfer.easy = easy;
  transfer.body_bytes_max = state_->options.body_bytes_max;
  std::string_view host = get.url;
  host.remove_prefix(std::min(host.find("://") + 3, host.size()));
  transfer.host = host.substr(0, host.find_first_of("/?"));
  for (const auto& [name, value] : get.headers) {
    transfer.headers =
        curl_slist_append(transfer.headers, fmt::format("{}: {}", name, value).c_str());
  }
  const auto time_max =
      static_cast<long>(duration_cast<milliseconds>(state_->options.time_max).count());
  curl_easy_setopt(easy, CURLOPT_URL, get.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, time_max);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, time_max);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  if (!state_->options.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, take_context);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, &state_->options.ca_file);
  }
  const std::string_view name =
      std::string_view(transfer.host).starts_with("[::1]")
          ? "::1"
          : std::string_view(transfer.host).substr(0, transfer.host.find(':'));
  if (is_loopback(name)) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "tapeline/" TAPELINE_VERSION);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.why.data());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  state_->transfers.emplace(easy, std::move(owned));
  curl_multi_add_handle(state_->multi, easy);
}

std::vector<HttpsDone> HttpsClient::step(Duration wait) {
  std::vector<HttpsDone> done;
  if (state_->transfers.empty()) return done;
  int running = 0;
  curl_multi_perform(state_->multi, &running);
  if (running == static_cast<int>(state_->transfers.size()) && wait > Duration(0)) {
    const auto millis = std::max<std::int64_t>(1, duration_cast<milliseconds>(wait).count());
    curl_multi_poll(state_->multi, nullptr, 0, static_cast<int>(millis), nullptr);
    curl_multi_perform(state_->multi, &running);
  }
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(state_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    CURL* const easy = message->easy_handle;
    const auto place = state_->transfers.find(easy);
    Transfer& transfer = *place->second;
    if (code == CURLE_OK) {
      long status = 0;
      curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      transfer.response.status = static_cast<int>(status);
      done.push_back({transfer.id, std::move(transfer.response)});
    } else {
      done.push_back({transfer.id, error_of(code, transfer)});
    }
    curl_multi_remove_handle(state_->multi, easy);
    state_->transfers.erase(place);
  }
  return done;
}

std::size_t HttpsClient::under_way() const { return state_->transfers.size(); }

}  // namespace tapeline::io
