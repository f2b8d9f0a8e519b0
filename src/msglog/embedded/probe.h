// What the embedded log tells of itself; docs/metrics.md is checked against it.

#pragma once

#include "telemetry/metrics.h"

namespace tapeline::msglog {

struct LogProbe {
  explicit LogProbe(telemetry::Metrics& metrics);

  telemetry::Counter& records_appended;
  telemetry::Counter& bytes_appended;
  telemetry::Counter& syncs;
  telemetry::Histogram& sync_seconds;
  telemetry::Counter& appends_failed_disk;
  telemetry::Counter& appends_failed_full;
  telemetry::Counter& appends_failed_damage;
  telemetry::Counter& tail_bytes_cut;
  telemetry::Counter& damage_found;
  telemetry::Counter& segments_dropped;
  telemetry::Gauge& size_bytes;
};

}  // namespace tapeline::msglog
