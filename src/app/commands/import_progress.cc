#include "app/commands/import_progress.h"

#include <fmt/format.h>

#include "base/whole_number.h"
#include "io/digest.h"

namespace tapeline::app {
namespace {

constexpr Duration kBarEvery = std::chrono::milliseconds(100);
constexpr Duration kLineEvery = std::chrono::seconds(10);

}  // namespace

std::string ImportProgress::key_of(std::string_view topic_id, const feeds::InputFiles& files,
                                   const Invocation& line) {
  std::string all(topic_id);
  for (const auto& file : files.files) {
    all += fmt::format("\n{}\t{}\t{}", file.name(), file.size_bytes,
                       file.modified_at.time_since_epoch().count());
  }
  all += fmt::format("\n{}\t{}", line.value("conditions").value_or(""),
                     line.value("bar-length").value_or(""));
  return "import." + io::md5_hex(all);
}

Result<std::int64_t> ImportProgress::sent() const {
  return whole_number(TRY(settings_.get(key_)).value_or("")).value_or(0);
}

Status ImportProgress::keep(std::int64_t sent) {
  return settings_.set(key_, fmt::format("{}", sent), state::Sync::later);
}

ProgressReport::ProgressReport(Clock& clock, const Call& call)
    : clock_(clock),
      call_(call),
      began_(clock.uptime()),
      next_(began_ + (call.terminal.look().progress ? kBarEvery : kLineEvery)) {}

void ProgressReport::show(const std::function<std::string()>& what, double part) {
  const Duration now = clock_.uptime();
  if (call_.json() || now < next_) return;
  const bool bar = call_.terminal.look().progress;
  next_ = now + (bar ? kBarEvery : kLineEvery);
  if (bar) {
    call_.terminal.progress(what(), part);
  } else {
    call_.terminal.err(fmt::format("{} ({:.0f} %)\n", what(), part * 100));
  }
}

void ProgressReport::line(std::string_view text) {
  if (!call_.json()) call_.terminal.err(fmt::format("{}\n", text));
}

std::string ProgressReport::time_left(double part) const {
  const auto passed = clock_.uptime() - began_;
  if (part < 0.01 || part >= 1 || passed < std::chrono::seconds(1)) return "";
  const auto left = static_cast<double>(passed.count()) * (1 - part) / part;
  return fmt::format(", about {} left", format_duration(Duration(static_cast<std::int64_t>(left))));
}

}  // namespace tapeline::app
