// The only file that reads the machine's clock or sleeps.

#include <condition_variable>
#include <mutex>

#include "base/clock.h"

namespace tapeline {
namespace {

class SystemClock final : public Clock {
 public:
  Timestamp now() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
  }

  Duration uptime() const override { return std::chrono::steady_clock::now() - start_; }

  bool wait_until(Duration deadline, std::stop_token stop) override {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    changed.wait_until(lock, stop, start_ + deadline, [] { return false; });
    return !stop.stop_requested();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

std::unique_ptr<Clock> make_system_clock() { return std::make_unique<SystemClock>(); }

}  // namespace tapeline
