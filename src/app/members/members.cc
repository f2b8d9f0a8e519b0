#include "app/members/members.h"

namespace tapeline::app {

Duration Members::end_of(Duration lease) const {
  return lease == kForever ? kForever : clock_.uptime() + lease;
}

std::vector<std::int32_t> Members::renew(const Leases::Member& member, std::int32_t partitions,
                                         Duration lease) {
  const Duration now = clock_.uptime();
  const Duration until = end_of(lease);
  return state_.with(
      [&](State& state) { return state.leases.renew(member, partitions, now, until); });
}

void Members::leave(std::string_view group, const std::string& name) {
  state_.with([&](State& state) {
    state.leases.leave(group, name);
    const auto heard = state.feeds.find(name);
    if (group == kLoadGroup || heard == state.feeds.end()) return;
    state.records_gone += heard->second.report.records;
    state.feeds.erase(heard);
  });
}

std::set<std::int32_t> Members::loaded_here(std::int32_t partitions, const std::string& own_name) {
  const std::string group(kLoadGroup);
  if (!own_name.empty()) {
    const auto own = renew({group, own_name, ""}, partitions, kForever);
    return {own.begin(), own.end()};
  }
  const Duration now = clock_.uptime();
  return state_.with([&](State& state) {
    std::set<std::int32_t> here;
    for (std::int32_t i = 0; i < partitions; ++i) {
      if (!state.leases.holder(group, i, now)) here.insert(i);
    }
    return here;
  });
}

void Members::report(const std::string& name, FeedReport report, Duration lease) {
  const Duration until = end_of(lease);
  const Duration now = clock_.uptime();
  state_.with([&](State& state) {
    std::erase_if(state.feeds, [&](const auto& feed) {
      if (feed.first == name || feed.second.until >= now) return false;
      state.records_gone += feed.second.report.records;
      return true;
    });
    state.feeds[name] = {std::move(report), until};
  });
}

FeedReport Members::feed() const {
  const Duration now = clock_.uptime();
  return state_.with([&](const State& state) {
    std::vector<FeedReport> reports;
    std::int64_t gone = state.records_gone;
    for (const auto& [name, heard] : state.feeds) {
      if (heard.until >= now)
        reports.push_back(heard.report);
      else
        gone += heard.report.records;
    }
    FeedReport all = together(reports);
    all.records += gone;
    return all;
  });
}

std::vector<MemberRow> Members::list() const {
  const Duration now = clock_.uptime();
  return state_.with([&](const State& state) { return state.leases.list(now); });
}

void Members::on_gap(std::function<Status(const feeds::Gap&)> heard) {
  state_.with([&](State& state) { state.gap_heard = std::move(heard); });
}

Status Members::take_gap(const feeds::Gap& gap) {
  const auto heard = state_.with([](const State& state) { return state.gap_heard; });
  return heard ? heard(gap) : Status(Ok{});
}

}  // namespace tapeline::app
