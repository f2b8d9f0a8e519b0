// OwnerLink: the way from a member of a data directory to the process that owns it.

#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "app/data_directory.h"
#include "app/feeding/feeding.h"
#include "app/members/requests.h"
#include "msglog/message_log.h"

namespace tapeline::app {

/// Where an owner is away, calls answer unavailable at once.
///
/// threads: one at a time
class OwnerLink final : public msglog::RecordSink, public FeedHost {
 public:
  /// `stop` ends every call.
  OwnerLink(Owner owner, Duration lease, std::stop_token stop)
      : owner_(std::move(owner)), lease_(lease), stop_(std::move(stop)) {}

  Result<std::vector<msglog::Position>> append(const std::string& topic,
                                               std::span<const msglog::Record> records) override;

  msglog::RecordSink& log() override { return *this; }
  Result<FeedGround> ground(const GroundRequest& request) override;
  Status each_of_today(Timestamp now, const std::function<void(const Quote&)>& use) override;
  Result<FeedShare> renew(const Leases::Member& member, const FeedReport& report) override;
  Status on_gap(const feeds::Gap& gap) override;

  Result<LoadShare> load(const std::string& name);

  /// So that others need not wait for the end of the lease.
  void leave(std::string_view group, const std::string& name);

 private:
  Status ask(const text::Value& request, Duration time_max,
             const std::function<void(std::string_view)>& on_line);
  Result<text::Value> ask(const text::Value& request);

  const Owner owner_;
  const Duration lease_;
  const std::stop_token stop_;
};

}  // namespace tapeline::app
