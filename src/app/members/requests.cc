#include "app/members/requests.h"

#include <fmt/format.h>

#include "app/values.h"
#include "wire/message.h"

namespace tapeline::app {
namespace {

constexpr std::int64_t kLeaseMsMax = 3'600'000;

text::Value request_of(std::string_view what) {
  text::Value request;
  request.set("do", what);
  return request;
}

void set_partitions(text::Value& value, const std::vector<std::int32_t>& partitions,
                    std::int32_t of) {
  text::List list;
  for (const std::int32_t partition : partitions) list.emplace_back(std::int64_t{partition});
  value.set("partitions", std::move(list));
  value.set("of", std::int64_t{of});
}

/// errors: invalid_argument
Status take_partitions(const text::Value& answer, std::vector<std::int32_t>& partitions,
                       std::int32_t& of) {
  const text::Value* list = answer.find("partitions");
  of = static_cast<std::int32_t>(answer.int_or("of", 0));
  if (!list || !list->is_list() || of < 1) {
    return Error{
        ErrorCode::unsupported,
        fmt::format("the owner's answer says nothing of partitions: {}", text::to_json(answer)),
        "Let all processes of a data directory be of one version."};
  }
  for (const text::Value& one : list->as_list()) {
    if (one.is_int()) partitions.push_back(static_cast<std::int32_t>(one.as_int()));
  }
  return Ok{};
}

Duration lease_of(const text::Value& request) {
  return std::chrono::milliseconds(
      std::clamp<std::int64_t>(request.int_or("lease_ms", 0), 100, kLeaseMsMax));
}

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

Result<text::Value> load(Pipeline& pipeline, const text::Value& request, std::stop_token stop) {
  const std::string name = request.string_or("name", "");
  const std::int32_t of = pipeline.partitions();
  const auto partitions =
      pipeline.members().renew({std::string(kLoadGroup), name, ""}, of, lease_of(request));
  const auto counts =
      TRY(pipeline.tasks().load_partitions(partitions, fmt::format("load__{}", name), stop));
  // The models run when the scheduler hears of it.
  if (counts.consumed > 0) pipeline.queues().changed.notify();
  text::Value answer;
  set_partitions(answer, partitions, of);
  set_counts(answer, counts);
  return answer;
}

Result<text::Value> feed(Pipeline& pipeline, const text::Value& request) {
  const Leases::Member member{.group = request.string_or("group", ""),
                              .name = request.string_or("name", ""),
                              .exclusive = request.string_or("exclusive", "")};
  const text::Value* said = request.find("report");
  const FeedReport report = said ? feed_report(*said) : FeedReport();
  const auto share = renew_feed(pipeline, member, report, lease_of(request));
  if (report.alive_at) {
    TRY_STATUS(keep_alive_at(pipeline, member.group, *report.alive_at, state::Sync::later));
  }
  text::Value answer;
  set_partitions(answer, share.partitions, share.of);
  text::List followed;
  for (const Symbol& symbol : share.followed) followed.emplace_back(symbol.text());
  answer.set("followed", std::move(followed));
  return answer;
}

Result<text::Value> answer_of(Pipeline& pipeline, const text::Value& request,
                              const serve::CommandOutput& output, std::stop_token stop) {
  const std::string what = request.string_or("do", "");
  const auto part = [&](std::string_view name) {
    const text::Value* value = request.find(name);
    return value ? *value : text::Value();
  };
  if (what == "load") return load(pipeline, request, stop);
  if (what == "feed") return feed(pipeline, request);
  if (what == "ground") {
    const GroundRequest wanted = TRY(ground_request(part("ground")));
    return to_value(TRY(feed_ground(pipeline, wanted)));
  }
  if (what == "today") {
    const Timestamp now = TRY(parse_rfc3339(request.string_or("now", ""))).at;
    TRY_STATUS(each_of_today(
        pipeline, now, [&](const Quote& quote) { output(false, wire::encode(quote) + "\n"); }));
    return text::Value();
  }
  if (what == "gap") {
    const feeds::Gap gap = TRY(gap_of(part("gap")));
    TRY_STATUS(pipeline.members().take_gap(gap));
    return text::Value();
  }
  if (what == "leave") {
    pipeline.members().leave(request.string_or("group", ""), request.string_or("name", ""));
    pipeline.queues().changed.notify();
    return text::Value();
  }
  return Error{ErrorCode::unsupported, fmt::format("a member asks for '{}'", what),
               "Let all processes of a data directory be of one version."};
}

}  // namespace

FeedShare renew_feed(Pipeline& pipeline, const Leases::Member& member, const FeedReport& report,
                     Duration lease) {
  FeedShare share{.of = pipeline.partitions(), .followed = pipeline.symbols().list()};
  share.partitions = pipeline.members().renew(member, share.of, lease);
  pipeline.members().report(member.name, report, lease);
  return share;
}

serve::Lane member_lane(std::string_view request) {
  const auto asked = text::parse_json(request);
  const std::string what = asked ? asked->string_or("do", "") : "";
  const bool is_long = what == "load" || what == "ground" || what == "today";
  return is_long ? serve::Lane::load : serve::Lane::member;
}

Result<int> answer_member(Pipeline& pipeline, std::string_view request,
                          const serve::CommandOutput& output, std::stop_token stop) {
  const text::Value asked = TRY(text::parse_json(request));
  const text::Value answer = TRY(answer_of(pipeline, asked, output, stop));
  if (!answer.is_null()) output(false, text::to_json(answer) + "\n");
  return 0;
}

text::Value feed_request(const Leases::Member& member, const FeedReport& report, Duration lease) {
  text::Value request = request_of("feed");
  request.set("group", member.group);
  request.set("name", member.name);
  request.set("exclusive", member.exclusive);
  request.set("lease_ms", milliseconds(lease));
  request.set("report", to_value(report));
  return request;
}

Result<FeedShare> feed_share(const text::Value& answer) {
  FeedShare share;
  TRY_STATUS(take_partitions(answer, share.partitions, share.of));
  const text::Value* followed = answer.find("followed");
  for (const text::Value& one :
       followed && followed->is_list() ? followed->as_list() : text::List{}) {
    share.followed.push_back(TRY(Symbol::parse(one.is_string() ? one.as_string() : "")));
  }
  return share;
}

text::Value load_request(const std::string& name, Duration lease) {
  text::Value request = request_of("load");
  request.set("name", name);
  request.set("lease_ms", milliseconds(lease));
  return request;
}

Result<LoadShare> load_share(const text::Value& answer) {
  LoadShare share;
  TRY_STATUS(take_partitions(answer, share.partitions, share.of));
  share.counts = {answer.int_or("consumed", 0), answer.int_or("loaded", 0),
                  answer.int_or("duplicate", 0), answer.int_or("superseded", 0),
                  answer.int_or("dead", 0)};
  return share;
}

text::Value leave_request(std::string_view group, const std::string& name) {
  text::Value request = request_of("leave");
  request.set("group", group);
  request.set("name", name);
  return request;
}

text::Value ground_message(const GroundRequest& ground) {
  text::Value request = request_of("ground");
  request.set("ground", to_value(ground));
  return request;
}

text::Value today_request(Timestamp now) {
  text::Value request = request_of("today");
  request.set("now", format_rfc3339_micros(now));
  return request;
}

text::Value gap_request(const feeds::Gap& gap) {
  text::Value request = request_of("gap");
  request.set("gap", to_value(gap));
  return request;
}

}  // namespace tapeline::app
