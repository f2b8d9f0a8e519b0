// Any text as a schedule: it is refused, or it fires after any instant and has fired before it.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "dag/cron.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline;
  static const TimeZone zone = *TimeZone::find("America/New_York");
  const auto cron = dag::Cron::parse({reinterpret_cast<const char*>(data), size}, zone);
  if (!cron) return 0;
  const std::chrono::sys_days year_2090{std::chrono::year{2090} / 1 / 1};
  Timestamp at = std::chrono::sys_days{std::chrono::year{2024} / 11 / 3};  // clocks go back
  for (int fires = 0; fires < 20 && at < year_2090; ++fires) {
    const auto fire = cron->next_fire(at);
    if (!fire) return 0;
    TL_ASSERT(*fire > at);
    TL_ASSERT(cron->last_fire(*fire) == *fire);
    at = *fire + std::chrono::days(fires * 30);
    TL_ASSERT(*cron->last_fire(at) <= at);
  }
  return 0;
}
