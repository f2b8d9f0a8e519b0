#include "msglog/kafka/statistics.h"

#include <algorithm>

#include "msglog/kafka/client.h"
#include "text/value.h"

namespace tapeline::msglog {

void note_statistics(std::string_view json, KafkaProbe& probe) {
  const auto parsed = text::parse_json(json);
  if (!parsed || !parsed->is_object()) return;
  const auto number = [&](std::string_view name) {
    return static_cast<double>(parsed->int_or(name, 0));
  };
  probe.producer_queue_records.set(number("msg_cnt"));
  probe.producer_queue_bytes.set(number("msg_size"));
  probe.bytes_sent.set(number("tx_bytes"));
  probe.bytes_received.set(number("rx_bytes"));
  const text::Value* brokers = parsed->find("brokers");
  if (!brokers || !brokers->is_object()) return;
  double up = 0;
  double slowest_us = 0;
  for (const auto& [name, broker] : brokers->as_object()) {
    if (broker.int_or("nodeid", -1) < 0) continue;  // an address that was bootstrapped from
    up += broker.string_or("state", "") == "UP";
    const text::Value* rtt = broker.find("rtt");
    if (rtt) slowest_us = std::max(slowest_us, static_cast<double>(rtt->int_or("p99", 0)));
  }
  probe.brokers_up.set(up);
  probe.broker_rtt_seconds.set(slowest_us / 1e6);
}

}  // namespace tapeline::msglog
