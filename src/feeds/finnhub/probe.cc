#include "feeds/finnhub/probe.h"

namespace tapeline::feeds::finnhub {
namespace {

constexpr const char* kMute = "tapeline_finnhub_mute_total";
constexpr const char* kMuteHelp = "Silences that were no quiet: of a symbol, of the socket.";
constexpr const char* kDivergences = "tapeline_finnhub_divergences_total";
constexpr const char* kDivergencesHelp =
    "Calls whose price, or whose time, the stream's trades contradict.";

}  // namespace

Probe::Probe(telemetry::Metrics& metrics)
    : trades(metrics.counter("tapeline_finnhub_trades_total",
                             "Trades that the stream sent, repeats included.")),
      repeats(metrics.counter("tapeline_finnhub_trades_repeated_total",
                              "Trades dropped because they had come before.")),
      out_of_order(metrics.counter("tapeline_finnhub_trades_out_of_order_total",
                                   "Trades older than the one before of their symbol.")),
      unreadable(metrics.counter("tapeline_finnhub_trades_unreadable_total",
                                 "Trades dropped because a field of theirs cannot be.")),
      not_followed(metrics.counter("tapeline_finnhub_trades_not_followed_total",
                                   "Trades dropped because nobody follows their symbol.")),
      subscriptions(metrics.counter("tapeline_finnhub_subscriptions_total",
                                    "Subscribe and unsubscribe messages sent.")),
      connects(metrics.counter("tapeline_finnhub_connects_total",
                               "Connections of the stream that were opened.")),
      mute_symbols(metrics.counter(kMute, kMuteHelp, {{"of", "symbol"}})),
      mute_sockets(metrics.counter(kMute, kMuteHelp, {{"of", "socket"}})),
      divergent_prices(metrics.counter(kDivergences, kDivergencesHelp, {{"kind", "price"}})),
      divergent_times(metrics.counter(kDivergences, kDivergencesHelp, {{"kind", "time"}})),
      connected(metrics.gauge("tapeline_finnhub_connected", "1 while the stream is open.")),
      backoff(metrics.gauge("tapeline_finnhub_backoff_seconds",
                            "How long calls or the stream wait after a failure.")),
      metrics_(metrics) {
  for (int i = 0; i < kOutcomes; ++i) {
    calls_[static_cast<std::size_t>(i)] =
        &metrics.counter("tapeline_finnhub_calls_total", "Calls of /quote by what became of them.",
                         {{"outcome", std::string(to_string(static_cast<Outcome>(i)))}});
  }
  for (int i = 0; i < kFrameTypes; ++i) {
    frames_[static_cast<std::size_t>(i)] =
        &metrics.counter("tapeline_finnhub_frames_total", "Messages of the stream by type.",
                         {{"type", std::string(to_string(static_cast<Frame::Type>(i)))}});
  }
  for (const char* cause : {"disconnect", "refused", "unauthorized", "silent", "mute_socket"}) {
    reconnects(cause);
  }
  for (const char* reason : {"over_limit", "invalid", "other"}) refused(reason);
}

telemetry::Counter& Probe::reconnects(const std::string& cause) {
  return metrics_.counter("tapeline_finnhub_reconnects_total",
                          "Connections lost, refused or given up, by cause.", {{"cause", cause}});
}

telemetry::Counter& Probe::refused(const std::string& reason) {
  return metrics_.counter("tapeline_finnhub_subscriptions_refused_total",
                          "Subscriptions that the vendor refused.", {{"reason", reason}});
}

}  // namespace tapeline::feeds::finnhub
