#include "msglog/embedded/consumer_offsets.h"

#include <fmt/format.h>

#include "base/whole_number.h"
#include "msglog/embedded/sealed_text.h"

namespace tapeline::msglog {
namespace {

std::string key_of(const std::string& topic_id, std::int32_t partition) {
  return fmt::format("{}/{}", topic_id, partition);
}

bool is_group_name(const std::string& name) {
  constexpr std::size_t kNameMax = 249;
  return !name.empty() && name.size() <= kNameMax && name != "." && name != ".." &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             "._-") == name.npos &&
         !name.ends_with(".tmp");
}

}  // namespace

Status ConsumerOffsets::load() {
  // What is told from here on stays true: a crash may have left a file that only memory knows.
  TRY_STATUS(files_.sync_directory(directory_));
  const auto files = TRY(files_.list(directory_));
  for (const auto& file : files) {
    if (file.is_directory || !is_group_name(file.name)) continue;
    const auto path = directory_ + "/" + file.name;
    const auto lines = unseal(TRY(io::read_file(files_, path)));
    Group group;
    bool whole = lines.has_value();
    for (const auto& [word, value] : lines.value_or(Lines{})) {
      const auto slash = value.rfind('/');
      const auto next = slash == value.npos ? std::nullopt : whole_number(value.substr(slash + 1));
      whole = whole && word == "next" && next;
      if (whole) group[value.substr(0, slash)] = *next;
    }
    if (!whole)
      return Error{
          ErrorCode::corrupt,
          fmt::format("the offsets of consumer group '{}' are damaged ('{}')", file.name, path),
          "Move that file away; the group then starts as one that never committed."};
    groups_.with([&](auto& groups) { groups[file.name] = std::move(group); });
  }
  return Ok{};
}

Status ConsumerOffsets::commit(const std::string& group, const std::string& topic_id,
                               std::int32_t partition, Offset next) {
  if (!is_group_name(group))
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is not a name for a consumer group", group),
                 "Use 1 to 249 of the letters, digits, dots, dashes and underscores."};
  if (next < 0)
    return Error{ErrorCode::invalid_argument, fmt::format("offset {} is below 0", next), ""};
  // The file is replaced under a lock of its own, so that readers never wait for the disk.
  return writing_.with([&](Ok&) -> Status {
    auto changed = groups_.with([&](auto& groups) { return groups[group]; });
    changed[key_of(topic_id, partition)] = next;
    Lines lines;
    for (const auto& [key, offset] : changed)
      lines.emplace_back("next", fmt::format("{}/{}", key, offset));
    TRY_STATUS(io::write_file_atomically(files_, directory_ + "/" + group, seal(lines)));
    groups_.with([&](auto& groups) { groups[group] = std::move(changed); });
    return Ok{};
  });
}

std::optional<Offset> ConsumerOffsets::committed(const std::string& group,
                                                 const std::string& topic_id,
                                                 std::int32_t partition) const {
  return groups_.with([&](const auto& groups) -> std::optional<Offset> {
    const auto found = groups.find(group);
    if (found == groups.end()) return std::nullopt;
    const auto offset = found->second.find(key_of(topic_id, partition));
    if (offset == found->second.end()) return std::nullopt;
    return offset->second;
  });
}

std::vector<GroupOffset> ConsumerOffsets::of_topic(const std::string& topic_id,
                                                   std::int32_t partitions) const {
  return groups_.with([&](const auto& groups) {
    std::vector<GroupOffset> all;
    for (const auto& [name, offsets] : groups) {
      for (std::int32_t i = 0; i < partitions; ++i) {
        const auto offset = offsets.find(key_of(topic_id, i));
        if (offset != offsets.end()) all.push_back({name, i, offset->second});
      }
    }
    return all;
  });
}

}  // namespace tapeline::msglog
