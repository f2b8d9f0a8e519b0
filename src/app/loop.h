// Loop: gives a part that steps a thread of its own. The only place that makes threads.

#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "base/aside.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/wakeup.h"

namespace tapeline::app {

/// When a thread gets a processor that others want too.
///
/// why: who carries a quote works for microseconds at a time and waits between; beside a query
///      that has the processor for milliseconds, waiting its turn was most of a quote's way
enum class Turns : std::uint8_t {
  usual,
  soon,  // sooner, for shorter: no more time than others; from Linux 6.12 on, before it as usual
};

/// Calls a step function on a named thread until destroyed.
///
/// errors: handed to `on_error`, on that thread; the loop then pauses and goes on
class Loop {
 public:
  /// One bounded piece of work; answers how long to wait before the next: zero goes on at once.
  using Step = std::function<Result<Duration>(std::stop_token)>;
  using OnError = std::function<void(const Error&)>;

  Loop(std::string name, Clock& clock, Step step, OnError on_error, Turns turns = Turns::usual);

  /// A thread that runs `body` once; it ends when it should have, after the token says so.
  Loop(std::string name, std::function<void(std::stop_token)> body, Turns turns = Turns::usual);

  void request_stop() { thread_.request_stop(); }

 private:
  static constexpr Duration kPauseAfterError = std::chrono::seconds(1);
  std::jthread thread_;  // stops and joins when this goes
};

/// A thread that waits for its owner's work.
class AsideLoop final : public Aside {
 public:
  explicit AsideLoop(std::string name);

  void start(std::function<void()> work) override;
  void wait() override;

 private:
  std::function<void()> work_;
  Wakeup started_;
  Wakeup done_;
  std::uint64_t works_ = 0;  // of the owner: how many it started
  Loop loop_;
};

}  // namespace tapeline::app
