#include "msglog/embedded/probe.h"

namespace tapeline::msglog {
namespace {

telemetry::Counter& failed(telemetry::Metrics& metrics, const char* reason) {
  return metrics.counter("tapeline_msglog_append_errors_total",
                         "Appends that the message log refused, by reason.", {{"reason", reason}});
}

}  // namespace

LogProbe::LogProbe(telemetry::Metrics& metrics)
    : records_appended(metrics.counter("tapeline_msglog_records_appended_total",
                                       "Records appended and synced.")),
      bytes_appended(metrics.counter("tapeline_msglog_appended_bytes_total",
                                     "Bytes appended and synced, headers included.")),
      syncs(metrics.counter("tapeline_msglog_syncs_total", "Syncs of segment files.")),
      sync_seconds(metrics.histogram("tapeline_msglog_sync_seconds",
                                     "How long a sync of a segment file took.",
                                     telemetry::latency_bounds())),
      appends_failed_disk(failed(metrics, "disk")),
      appends_failed_full(failed(metrics, "full")),
      appends_failed_damage(failed(metrics, "damage")),
      tail_bytes_cut(metrics.counter("tapeline_msglog_tail_cut_bytes_total",
                                     "Bytes never acknowledged that were cut when opening.")),
      damage_found(metrics.counter("tapeline_msglog_damage_found_total",
                                   "Times that acknowledged records were found damaged.")),
      segments_dropped(metrics.counter("tapeline_msglog_segments_dropped_total",
                                       "Segments that retention removed.")),
      size_bytes(metrics.gauge("tapeline_msglog_size_bytes", "Bytes that all topics hold.")) {}

}  // namespace tapeline::msglog
