#include "transform/console.h"

#include <fmt/format.h>

namespace tapeline::transform {
namespace {

constexpr std::size_t kWidth = 80;  // dbt's printer_width

double seconds(Duration length) { return std::chrono::duration<double>(length).count(); }

std::string stamped(const Clock& clock, std::string_view text) {
  const auto second = std::chrono::floor<std::chrono::seconds>(clock.now());
  const auto midnight = std::chrono::floor<std::chrono::days>(second);
  const std::chrono::hh_mm_ss time{second - midnight};
  return fmt::format("{:02}:{:02}:{:02}  {}", time.hours().count(), time.minutes().count(),
                     time.seconds().count(), text);
}

}  // namespace

void Console::info(std::string_view text) const {
  if (!quiet_ && sink_) sink_(stamped(clock_, text));
}

void Console::error(std::string_view text) const {
  if (sink_) sink_(stamped(clock_, text));
}

void Console::raw(std::string_view text) const {
  if (sink_) sink_(text);
}

void Console::progress(std::size_t index, std::size_t total, std::string_view label,
                       std::string_view status, bool is_error) const {
  std::string line = fmt::format("{} of {} {} ", index, total, label);
  if (line.size() < kWidth) line.append(kWidth - line.size(), '.');
  line += fmt::format(" [{}]", status);
  if (is_error)
    error(line);
  else
    info(line);
}

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string timed(std::string_view word, Duration took) {
  return fmt::format("{} in {:.2f}s", word, seconds(took));
}

}  // namespace tapeline::transform
