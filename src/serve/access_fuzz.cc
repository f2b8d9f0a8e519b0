// Any headers: nobody writes who does not send a whole token, nobody reads where reading needs one,
// no page of another site writes, and no refusal says what a token is.
//
// The input is "Name: value" lines.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "serve/access.h"

namespace {

using namespace tapeline;

constexpr std::string_view kLocal = "local-0123456789";
constexpr std::string_view kApi = "api-0123456789";
constexpr std::string_view kView = "view-0123456789";

io::HttpRequest request_of(std::string_view text) {
  io::HttpRequest request{.method = "POST"};
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline::serve;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const io::HttpRequest request = request_of(text);
  Access access({std::string(kLocal), std::string(kApi), std::string(kView)});

  // A cookie may write a token with escapes; then only the whole text can say what it holds.
  const bool has_escape = text.find('%') != std::string_view::npos;
  const auto sends = [&](std::string_view token) {
    return has_escape || text.find(token) != std::string_view::npos;
  };
  const auto read = access.refusal(request, Need::read);
  const auto write = access.refusal(request, Need::write);
  if (!read) TL_ASSERT(sends(kLocal) || sends(kApi) || sends(kView));
  if (!write) TL_ASSERT(sends(kLocal) || sends(kApi));
  if (!write) TL_ASSERT(!read);
  TL_ASSERT(access.refusal(request, Need::socket));
  TL_ASSERT(!access.refusal(request, Need::nothing));
  if (const auto* origin = request.header("Origin"); origin && !write) {
    const auto* host = request.header("Host");
    TL_ASSERT(host && origin->size() > host->size());
  }
  for (const auto& refusal : {read, write}) {
    if (!refusal) continue;
    TL_ASSERT(refusal->status == 401 || refusal->status == 403 || refusal->status == 415);
    for (const auto token : {kLocal, kApi, kView}) {
      TL_ASSERT(refusal->body.find(token) == std::string::npos);
    }
  }
  TL_ASSERT(access.login_by_code(text).status == 401);  // there is no code
  const auto login = access.login_by_token(text);
  TL_ASSERT((login.status == 204) == (text == kLocal || text == kApi || text == kView));
  return 0;
}
