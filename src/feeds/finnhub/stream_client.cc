#include "feeds/finnhub/stream_client.h"

#include <algorithm>

#include "feeds/finnhub/key_lock.h"
#include "io/http_message.h"

namespace tapeline::feeds::finnhub {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMessageBytesMax = 8 << 20;  // 180,000 trades; seen were hundreds
constexpr int kUnauthorized = 401;
constexpr int kTooMany = 429;
constexpr Duration kPauseMax = seconds(60);
constexpr Duration kGoodAfter = seconds(30);  // open for so long, a connection counts as good

}  // namespace

StreamClient::StreamClient(Clock& clock, Options options, Rng rng, Duration first_pause)
    : clock_(clock),
      options_(std::move(options)),
      rng_(rng),
      next_at_(clock.uptime() + first_pause) {}

StreamClient::~StreamClient() {
  if (!open_) return;
  socket_->close();
  constexpr int kTries = 50;
  for (int i = 0; i < kTries; ++i) {
    const auto event = socket_->next(milliseconds(10));
    if (event && event->kind == io::WebSocketEvent::Kind::closed) return;
  }
}

Duration StreamClient::waiting() const {
  return socket_ ? Duration(0) : std::max(Duration(0), next_at_ - clock_.uptime());
}

void StreamClient::pause_before_next(bool refused) {
  if (open_ && clock_.uptime() - opened_at_ > kGoodAfter) failures_ = 0;
  Duration pause = std::min<Duration>(kPauseMax, seconds(1) * (1 << std::min(failures_, 6)));
  if (refused) pause = kPauseMax;
  ++failures_;
  // From half of it on: two who were cut off together do not come back together.
  const double share = 0.5 + rng_.uniform() / 2;
  pause = Duration(static_cast<Duration::rep>(static_cast<double>(pause.count()) * share));
  next_at_ = clock_.uptime() + pause;
  socket_.reset();
  open_ = false;
}

void StreamClient::drop() { pause_before_next(false); }

StreamClient::Event StreamClient::lost(std::string cause, std::string why) {
  return {Event::Kind::lost, "", std::move(cause), redacted(std::move(why), options_.key)};
}

void StreamClient::send(std::string text) {
  if (open_) socket_->send(std::move(text));
}

std::optional<StreamClient::Event> StreamClient::next(Duration wait) {
  if (!socket_) {
    if (clock_.uptime() < next_at_) return std::nullopt;
    auto made = io::WebSocketClient::connect(
        {.url = options_.url,
         .target = options_.url.path + "/?token=" + io::percent_encode(options_.key),
         .ca_file = options_.ca_file,
         .time_max = options_.time_max,
         .message_bytes_max = kMessageBytesMax});
    if (!made) {
      pause_before_next(true);
      return lost("refused", made.error().message);
    }
    socket_ = std::move(*made);
  }
  auto event = socket_->next(wait);
  if (!event) return std::nullopt;
  using Kind = io::WebSocketEvent::Kind;
  switch (event->kind) {
    case Kind::opened:
      open_ = true;
      opened_at_ = clock_.uptime();
      return Event{Event::Kind::opened, "", "", ""};
    case Kind::text:
      return Event{Event::Kind::message, std::move(event->text), "", ""};
    case Kind::signal:
      return Event{Event::Kind::signal, "", "", ""};
    case Kind::closed:
      break;
  }
  const bool was_open = open_;
  const bool unauthorized = event->code == kUnauthorized;
  std::string why = event->error ? event->error->message
                                 : "the server closed with code " + std::to_string(event->code);
  pause_before_next(unauthorized || event->code == kTooMany);
  return lost(was_open ? "disconnect" : unauthorized ? "unauthorized" : "refused", std::move(why));
}

}  // namespace tapeline::feeds::finnhub
