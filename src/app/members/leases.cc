#include "app/members/leases.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace tapeline::app {

std::vector<std::int32_t> Leases::renew(const Member& member, std::int32_t partitions, Duration now,
                                        Duration until) {
  Group& group = groups_[member.group];
  std::erase_if(group.members,
                [&](const Known& known) { return known.until < now && known.name != member.name; });
  auto me = std::ranges::find(group.members, member.name, &Known::name);
  if (me == group.members.end()) {
    me = group.members.insert(group.members.end(), {member.name, member.exclusive, until});
  }
  me->until = until;
  me->exclusive = member.exclusive;

  std::vector<std::string> working;
  std::set<std::string> taken;
  std::set<std::string> alive;
  for (const Known& known : group.members) {
    alive.insert(known.name);
    if (known.exclusive.empty() || taken.insert(known.exclusive).second) {
      working.push_back(known.name);
    }
  }
  std::erase_if(group.holders, [&](const auto& held) {
    return held.first >= partitions || !alive.contains(held.second);
  });
  std::vector<std::int32_t> mine;
  for (std::int32_t i = 0; i < partitions; ++i) {
    const std::string& wanted = working[static_cast<std::size_t>(i) % working.size()];
    const auto held = group.holders.find(i);
    if (held != group.holders.end() && held->second == member.name && wanted != member.name) {
      group.holders.erase(held);  // heard now: the other may have it
    } else if (held == group.holders.end() && wanted == member.name) {
      group.holders[i] = member.name;
    }
    const auto holder = group.holders.find(i);
    if (holder != group.holders.end() && holder->second == member.name) mine.push_back(i);
  }
  return mine;
}

void Leases::leave(std::string_view group, std::string_view name) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  std::erase_if(found->second.members, [&](const Known& known) { return known.name == name; });
  std::erase_if(found->second.holders, [&](const auto& held) { return held.second == name; });
}

std::optional<std::string> Leases::holder(std::string_view group, std::int32_t partition,
                                          Duration now) const {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return std::nullopt;
  const auto held = found->second.holders.find(partition);
  if (held == found->second.holders.end()) return std::nullopt;
  const auto& members = found->second.members;
  const auto known = std::ranges::find(members, held->second, &Known::name);
  if (known == members.end() || known->until < now) return std::nullopt;
  return held->second;
}

std::vector<MemberRow> Leases::list(Duration now) const {
  std::vector<MemberRow> rows;
  for (const auto& [name, group] : groups_) {
    for (const Known& member : group.members) {
      if (member.until < now) continue;
      MemberRow row{.name = member.name, .group = name, .partitions = {}};
      for (const auto& [partition, holder] : group.holders) {
        if (holder == member.name) row.partitions.push_back(partition);
      }
      rows.push_back(std::move(row));
    }
  }
  std::ranges::sort(rows, {}, [](const MemberRow& row) { return std::tie(row.group, row.name); });
  return rows;
}

}  // namespace tapeline::app
