// Probe: what the Finnhub feed tells of itself, as metrics.

#pragma once

#include <array>

#include "feeds/finnhub/decode.h"
#include "telemetry/metrics.h"

namespace tapeline::feeds::finnhub {

/// One field for each thing that can happen.
class Probe {
 public:
  explicit Probe(telemetry::Metrics& metrics);

  telemetry::Counter& call(Outcome outcome) { return *calls_[static_cast<std::size_t>(outcome)]; }
  telemetry::Counter& frame(Frame::Type type) { return *frames_[static_cast<std::size_t>(type)]; }

  /// Of a closed set of causes, kinds, reasons.
  telemetry::Counter& reconnects(const std::string& cause);
  telemetry::Counter& refused(const std::string& reason);

  telemetry::Counter& trades;
  telemetry::Counter& repeats;
  telemetry::Counter& out_of_order;
  telemetry::Counter& unreadable;
  telemetry::Counter& not_followed;
  telemetry::Counter& subscriptions;
  telemetry::Counter& connects;
  telemetry::Counter& mute_symbols;
  telemetry::Counter& mute_sockets;
  telemetry::Counter& divergent_prices;
  telemetry::Counter& divergent_times;
  telemetry::Gauge& connected;
  telemetry::Gauge& backoff;

 private:
  telemetry::Metrics& metrics_;
  std::array<telemetry::Counter*, kOutcomes> calls_{};
  std::array<telemetry::Counter*, kFrameTypes> frames_{};
};

}  // namespace tapeline::feeds::finnhub
