// Requests: what the members of a data directory ask of its owner, over its socket.
//
// A request is the command line `member JSON` of /api/v1/commands: programs of one version speak
// it to one another, nobody types it. OwnerLink::ask sends one, answer_member answers it.

#pragma once

#include <stop_token>
#include <string_view>

#include "app/feeding/feeding.h"
#include "app/pipeline.h"
#include "serve/commands.h"

namespace tapeline::app {

constexpr std::string_view kMemberCommand = "member";

/// What a producer may work on, said to one that is in this process or another.
FeedShare renew_feed(Pipeline& pipeline, const Leases::Member& member, const FeedReport& report,
                     Duration lease);

/// Which of the owner's threads answers a request: those that keep a lease wait for no load.
serve::Lane member_lane(std::string_view request);

/// Answers a request of another process.
/// errors: invalid_argument (what is none), those of what it asks for
Result<int> answer_member(Pipeline& pipeline, std::string_view request,
                          const serve::CommandOutput& output, std::stop_token stop);

/// What a loader hears: what it has, and what became of one bounded piece of it.
struct LoadShare {
  std::vector<std::int32_t> partitions;
  std::int32_t of = 1;
  ingest::LoadCounts counts;
};

text::Value feed_request(const Leases::Member& member, const FeedReport& report, Duration lease);
Result<FeedShare> feed_share(const text::Value& answer);
text::Value load_request(const std::string& name, Duration lease);
Result<LoadShare> load_share(const text::Value& answer);
text::Value leave_request(std::string_view group, const std::string& name);
text::Value ground_message(const GroundRequest& request);
text::Value today_request(Timestamp now);
text::Value gap_request(const feeds::Gap& gap);

}  // namespace tapeline::app
