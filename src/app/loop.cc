#include "app/loop.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tapeline::app {
namespace {

/// The kernel takes 15 characters.
void set_thread_name(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

/// The kernel's sched_attr, whose header cannot stand beside the C library's.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime_ns;  // of the usual policy: the slice that the thread asks for
  std::uint64_t deadline_ns;
  std::uint64_t period_ns;
};

/// Best effort: without it the thread only waits longer.
void take(Turns turns) {
  if (turns == Turns::usual) return;
  constexpr std::uint64_t kSliceNs = 100'000;  // the shortest that Linux grants
  SchedulingAttributes attributes{};
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  attributes.runtime_ns = kSliceNs;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

Loop::Loop(std::string name, Clock& clock, Step step, OnError on_error, Turns turns)
    : thread_([name = std::move(name), &clock, step = std::move(step),
               on_error = std::move(on_error), turns](std::stop_token stop) {
        set_thread_name(name);
        take(turns);
        while (!stop.stop_requested()) {
          const auto pause = step(stop);
          if (!pause) on_error(pause.error());
          const Duration wait = pause ? *pause : kPauseAfterError;
          if (wait > Duration(0)) clock.wait_for(wait, stop);
        }
      }) {}

Loop::Loop(std::string name, std::function<void(std::stop_token)> body, Turns turns)
    : thread_([name = std::move(name), body = std::move(body), turns](std::stop_token stop) {
        set_thread_name(name);
        take(turns);
        body(stop);
      }) {}

AsideLoop::AsideLoop(std::string name)
    : loop_(std::move(name), [this](std::stop_token stop) {
        for (std::uint64_t works = 0; !stop.stop_requested();) {
          if (started_.wait(works, std::chrono::hours(1), stop) == works) continue;
          ++works;
          work_();
          done_.notify();
        }
      }) {}

void AsideLoop::start(std::function<void()> work) {
  work_ = std::move(work);
  ++works_;
  started_.notify();
}

void AsideLoop::wait() {
  while (done_.count() != works_) (void)done_.wait(works_ - 1, std::chrono::hours(1), {});
}

}  // namespace tapeline::app
