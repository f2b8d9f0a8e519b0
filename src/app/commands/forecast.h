// Forecast: how long the disk lasts, from what was loaded lately.

#pragma once

#include <cstdint>
#include <optional>

#include "app/pipeline.h"

namespace tapeline::app {

/// What a day of loads is, of those with loads among the last seven. The median, so that an
/// import of years is no forecast.
struct DailyLoads {
  double messages = 0;  // consumed
  double rows = 0;      // loaded
};

/// units: bytes, and bytes for one message or row
struct DiskUse {
  double free = 0;
  double log = 0;
  double log_max = 0;
  double log_each = 0;        // of a message in the topics
  double warehouse_each = 0;  // of a raw row, with all that is made of it
};

/// units: bytes, days
struct DiskForecast {
  double bytes_per_day = 0;
  double days_left = 0;
};

/// The log grows up to its limit, the warehouse without one.
DiskForecast forecast(const DailyLoads& daily, const DiskUse& use);

struct DiskStatus {
  std::int64_t free_bytes = 0;
  std::optional<DiskForecast> forecast;  // none before there is an hour of loads
  std::int64_t retention_bytes = 0;      // about what a cut would give back to the warehouse now
};

/// errors: unavailable (disk, warehouse)
Result<DiskStatus> disk_status(Pipeline& pipeline);

}  // namespace tapeline::app
