#include "app/members/follow.h"

#include <fmt/format.h>

#include <csignal>
#include <deque>
#include <utility>

#include "app/loop.h"
#include "app/members/owner_link.h"
#include "io/http_message.h"
#include "io/relay.h"
#include "io/url.h"
#include "telemetry/logging.h"

namespace tapeline::app {
namespace {

using telemetry::Level;

constexpr Duration kLoadPause = std::chrono::milliseconds(100);  // between looks for new messages
constexpr long kLookNanoseconds = 100'000'000;                   // between looks at the lock
constexpr int kLooksInSilence = 20;  // an owner that starts listens soon

/// What a browser gets between two owners.
std::string refusal() {
  const std::string body =
      io::http_error(503, "unavailable", "nobody owns the data directory just now",
                     "Try again in a second.")
          .body;
  return fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
      "Connection: close\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
}

void note(const Error& error) {
  // An owner that went away is noticed by its lock.
  telemetry::log(error.retryable() ? Level::debug : Level::warn, "step failed",
                 telemetry::error_fields(error));
}

/// Whether a signal to end came within one look's time.
bool is_told_to_stop(const sigset_t& signals) {
  const timespec look{.tv_sec = 0, .tv_nsec = kLookNanoseconds};
  return sigtimedwait(&signals, nullptr, &look) > 0;
}

/// The part of a process, done for one owner.
class Following {
 public:
  Following(Clock& clock, io::FileSystem& files, telemetry::Metrics& metrics, const Config& config,
            const Plan& plan, Owner owner)
      : clock_(clock),
        files_(files),
        metrics_(metrics),
        config_(config),
        plan_(plan),
        owner_(std::move(owner)),
        link_(owner_, plan.lease, stop_.get_token()) {}

  Status start(io::Relay* relay, Feeding::Carried carried) {
    if (plan_.role == Role::produce) return start_feed(std::move(carried));
    if (plan_.role == Role::load) {
      loops_.emplace_back(
          "load", clock_, [this](std::stop_token) { return load(); }, note);
      return Ok{};
    }
    const io::Url url = TRY(io::parse_url(owner_.address, "https", "http"));
    relay->set_target(url.host, url.port);
    return Ok{};
  }

  /// The owner is gone; what it has not taken.
  Feeding::Carried stop() {
    for (auto& loop : loops_) loop.request_stop();
    stop_.request_stop();  // nobody answers
    loops_.clear();
    return feeding_ ? feeding_->take_carried() : Feeding::Carried();
  }

  /// The process ends: its work is the owner's or others', at once.
  void leave() {
    for (auto& loop : loops_) loop.request_stop();
    if (!feeding_) stop_.request_stop();  // what is loaded just now is loaded by another
    loops_.clear();
    if (feeding_) {
      if (const Status done = feeding_->flush(); !done) note(done.error());
      link_.leave(feeding_->group(), plan_.name);
    } else if (plan_.role == Role::load) {
      link_.leave(kLoadGroup, plan_.name);
    }
  }

  const Owner& owner() const { return owner_; }

 private:
  Status start_feed(Feeding::Carried carried) {
    calendar_ = TRY(make_calendar(plan_.kind == DirectoryKind::simulated ? "SIM" : "XNYS"));
    feeding_ = TRY(Feeding::make({clock_, files_, metrics_, config_, *calendar_}, link_,
                                 {.feed = plan_.feed,
                                  .name = plan_.name,
                                  .own_symbols = plan_.own_symbols,
                                  .lock_folder = plan_.lock_folder,
                                  .renew_every = plan_.lease / 5,
                                  .carried = std::move(carried)}));
    loops_.emplace_back(
        "feed-" + plan_.feed, clock_, [this](std::stop_token) { return feeding_->step(); }, note,
        Turns::soon);
    return Ok{};
  }

  Result<Duration> load() {
    const auto share = TRY(link_.load(plan_.name));
    if (share.partitions != partitions_) {
      partitions_ = share.partitions;
      telemetry::log(
          Level::info, "loading",
          {{"partitions", partitions_.empty() ? "none, standing by"
                                              : fmt::format("{}", fmt::join(partitions_, ","))},
           {"of", fmt::format("{}", share.of)}});
    }
    return share.counts.consumed > 0 ? Duration(0) : kLoadPause;
  }

  Clock& clock_;
  io::FileSystem& files_;
  telemetry::Metrics& metrics_;
  const Config& config_;
  const Plan& plan_;
  const Owner owner_;
  std::stop_source stop_;
  OwnerLink link_;
  std::shared_ptr<const Calendar> calendar_;
  std::unique_ptr<Feeding> feeding_;
  std::vector<std::int32_t> partitions_;
  std::deque<Loop> loops_;  // stop before what they use goes
};

void greet(const Call& call, const Plan& plan, const Owner& owner) {
  std::string part = std::string(to_string(plan.role));
  if (plan.role == Role::produce) part += " (" + plan.feed + ")";
  if (plan.role == Role::serve) part += "\n  dashboard   " + plan.address.url();
  call.terminal.out(
      fmt::format("\n  tapeline {}\n\n"
                  "  part        {}\n"
                  "  owner       process {}, {}\n"
                  "  data        {}\n"
                  "  stop        Ctrl-C\n\n",
                  TAPELINE_VERSION, part, owner.pid, owner.address, plan.path));
}

}  // namespace

Result<Followed> follow(Clock& clock, io::FileSystem& files, const Config& config, const Call& call,
                        Plan& plan, Feeding::Carried carried) {
  telemetry::Metrics metrics;
  std::unique_ptr<io::Relay> relay;
  std::optional<Loop> relaying;
  std::unique_ptr<Following> following;
  bool greeted = false;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  for (int looks = 0;;) {
    const auto owner = TRY(DataDirectory::owner(files, plan.path));
    const bool is_same = owner && following && following->owner() == *owner;
    if (following && !is_same) {
      carried = following->stop();
      following.reset();
    }
    if (!owner) return Followed{.stopped = false, .carried = std::move(carried)};
    if (!following && !owner->socket.empty()) {
      if (plan.feed != "none") TRY_STATUS(DataDirectory::check_kind(files, plan.path, plan.kind));
      if (plan.role == Role::serve && !relay) {
        relay = TRY(io::Relay::open(
            {.address = plan.address.host, .port = plan.address.port, .refusal = refusal()}));
        plan.address.port = relay->port();
      }
      following = std::make_unique<Following>(clock, files, metrics, config, plan, *owner);
      TRY_STATUS(following->start(relay.get(), std::move(carried)));
      if (relay && !relaying) {
        relaying.emplace("relay", [&relay](std::stop_token stop) { relay->run(std::move(stop)); });
      }
      if (!std::exchange(greeted, true)) {
        greet(call, plan, *owner);
      } else {
        call.terminal.err(fmt::format("process {} owns the data now\n", owner->pid));
      }
    } else if (!following && ++looks == kLooksInSilence) {
      call.terminal.err(fmt::format("waiting for process {}, which has '{}' and does not listen\n",
                                    owner->pid, plan.path));
    }
    if (is_told_to_stop(signals)) {
      pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second one ends the process at once
      call.terminal.err("stopping\n");
      if (following) following->leave();
      return Followed{.stopped = true, .carried = {}};
    }
  }
}

}  // namespace tapeline::app
