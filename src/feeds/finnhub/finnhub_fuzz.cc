// Whatever a vendor sends, decoding it neither fails nor makes what cannot be.
//
// The first byte chooses what the rest is: the body of an answer by status, or a message.

#include <cstdint>

#include "base/check.h"
#include "feeds/finnhub/decode.h"
#include "feeds/finnhub/repeats.h"
#include "feeds/finnhub/subscriptions.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline;
  using namespace tapeline::feeds::finnhub;
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr int kStatuses[] = {200, 200, 200, 401, 403, 429, 302, 500};
  if (data[0] < 128) {
    io::HttpResponse response;
    response.status = kStatuses[data[0] % 8];
    response.headers = {{"Retry-After", rest.substr(0, 20)}};
    response.body = rest;
    const auto answer = decode_quote(response);
    if (answer.outcome == Outcome::ok) {
      TL_ASSERT(response.status == 200 && answer.quote.price.units() > 0);
      TL_ASSERT(!answer.quote.low || answer.quote.low->units() > 0);
      TL_ASSERT(answer.quote.at > Timestamp(std::chrono::years(20)));
    }
    TL_ASSERT(!answer.retry_after || *answer.retry_after >= Duration(0));
    return 0;
  }
  Frame frame = decode_frame(rest);
  for (const Trade& trade : frame.trades) {
    TL_ASSERT(trade.price.units() > 0 && trade.size >= 0);
    TL_ASSERT(!trade.symbol.text().empty());
  }
  Repeats repeats;
  auto again = frame.trades;
  const auto first = repeats.drop_repeats(frame.trades);
  TL_ASSERT(first == 0);
  const auto second = repeats.drop_repeats(again);
  // What is older than the memory of its symbol was forgotten, so it may come again.
  TL_ASSERT(second + std::ssize(again) == std::ssize(frame.trades));
  Subscriptions subscriptions(2);
  subscriptions.refused(frame.message);
  return 0;
}
