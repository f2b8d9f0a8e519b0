#include "app/loop.h"

#include <pthread.h>

namespace tapeline::app {
namespace {

/// The kernel takes 15 characters.
void set_thread_name(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

}  // namespace

Loop::Loop(std::string name, Clock& clock, Step step, OnError on_error)
    : thread_([name = std::move(name), &clock, step = std::move(step),
               on_error = std::move(on_error)](std::stop_token stop) {
        set_thread_name(name);
        while (!stop.stop_requested()) {
          const auto pause = step(stop);
          if (!pause) on_error(pause.error());
          const Duration wait = pause ? *pause : kPauseAfterError;
          if (wait > Duration(0)) clock.wait_for(wait, stop);
        }
      }) {}

Loop::Loop(std::string name, std::function<void(std::stop_token)> body)
    : thread_([name = std::move(name), body = std::move(body)](std::stop_token stop) {
        set_thread_name(name);
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
