#include "msglog/embedded/embedded_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/whole_number.h"
#include "msglog/embedded/murmur2.h"
#include "msglog/embedded/sealed_text.h"
#include "msglog/rules.h"

namespace tapeline::msglog {
namespace {

constexpr double kNearlyFull = 0.8;

std::string to_hex(const TopicId& id) {
  std::string text;
  for (const char byte : id) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::optional<TopicId> from_hex(std::string_view text) {
  TopicId id{};
  if (text.size() != 2 * id.size()) return std::nullopt;
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = kDigits.find(text[i]);
    if (digit == kDigits.npos) return std::nullopt;
    id[i / 2] = static_cast<char>((static_cast<unsigned char>(id[i / 2]) << 4) | digit);
  }
  return id;
}

}  // namespace

EmbeddedLog::EmbeddedLog(io::FileSystem& files, Clock& clock, Options options)
    : files_(files),
      clock_(clock),
      options_(std::move(options)),
      probe_(options_.metrics ? *options_.metrics : own_metrics_),
      context_{files_,
               clock_,
               probe_,
               options_.appended,
               std::min(options_.segment_bytes, options_.size_bytes_max / 4),
               options_.preallocate_bytes,
               options_.size_bytes_max,
               [this](std::int64_t bytes) { return make_room(bytes); }},
      offsets_(files_, options_.directory + "/__groups"),
      ids_(Rng(options_.seed)) {}

Result<std::unique_ptr<EmbeddedLog>> EmbeddedLog::open(io::FileSystem& files, Clock& clock,
                                                       Options options) {
  std::unique_ptr<EmbeddedLog> log(new EmbeddedLog(files, clock, std::move(options)));
  TRY_STATUS(log->load());
  return log;
}

Status EmbeddedLog::load() {
  TRY_STATUS(io::make_directories(files_, options_.directory + "/__groups"));
  TRY_STATUS(offsets_.load());
  const auto entries = TRY(files_.list(options_.directory));
  for (const auto& entry : entries) {
    if (!entry.is_directory || !is_topic_name(entry.name)) continue;
    auto topic = TRY(load_topic(entry.name));
    if (!topic) continue;
    topics_.with([&](Topics& topics) { topics[entry.name] = std::move(topic); });
  }
  probe_.size_bytes.set(static_cast<double>(context_.total_bytes.load()));
  return Ok{};
}

/// None where a crash has left a topic half created: nothing was ever appended to it.
Result<std::unique_ptr<EmbeddedLog::Topic>> EmbeddedLog::load_topic(const std::string& name) {
  const auto directory = options_.directory + "/" + name;
  const auto path = directory + "/topic";
  const auto text = io::read_file(files_, path);
  const auto lines = text ? unseal(*text) : std::nullopt;
  if (!text && text.error().code != ErrorCode::not_found) return Error(text.error());
  const auto id = lines ? from_hex(value_of(*lines, "id").value_or("")) : std::nullopt;
  const auto count =
      lines ? whole_number(value_of(*lines, "partitions").value_or("")).value_or(0) : 0;
  if (!text) {
    const auto first = TRY(files_.info(directory + "/0"));
    const auto inside = first ? TRY(files_.list(directory + "/0")) : std::vector<io::FileInfo>();
    if (inside.empty()) return std::unique_ptr<Topic>();
  }
  if (!id || count < 1 || count > kPartitionsMax)
    return Error{ErrorCode::corrupt,
                 fmt::format("the file of topic '{}' is missing or damaged ('{}')", name, path),
                 "Put it back from a backup, or move the topic's folder away."};
  TRY_STATUS(files_.sync_directory(directory));  // it exists from here on, also after a crash
  TRY_STATUS(files_.sync_directory(options_.directory));
  auto topic = std::make_unique<Topic>();
  topic->id = *id;
  for (std::int32_t i = 0; i < count; ++i) {
    const auto folder = fmt::format("{}/{}", directory, i);
    TRY_STATUS(io::make_directories(files_, folder));
    topic->partitions.push_back(TRY(Partition::open(context_, folder, {name, i}, {*id, i})));
  }
  return topic;
}

Status EmbeddedLog::create_topic(const std::string& name, std::int32_t partitions) {
  TRY_STATUS(check_topic(name, partitions));
  return creation_.with([&](Ok&) -> Status {
    if (find(name)) return topic_is_there(name);
    TRY_STATUS(write_topic(name, partitions));
    auto topic = TRY(load_topic(name));
    topics_.with([&](Topics& topics) { topics[name] = std::move(topic); });
    return Ok{};
  });
}

/// The topic's own file comes last: only then does the topic exist.
Status EmbeddedLog::write_topic(const std::string& name, std::int32_t partitions) {
  const auto directory = options_.directory + "/" + name;
  for (std::int32_t i = 0; i < partitions; ++i)
    TRY_STATUS(io::make_directories(files_, fmt::format("{}/{}", directory, i)));
  TRY_STATUS(files_.sync_directory(directory));
  TRY_STATUS(files_.sync_directory(options_.directory));
  const auto now = clock_.now().time_since_epoch().count();
  const auto random = ids_.with([&](Rng& rng) {
    TopicId id{};
    const std::uint64_t words[] = {rng.next() ^ mix64(static_cast<std::uint64_t>(now)), rng.next()};
    std::memcpy(id.data(), words, sizeof words);
    return id;
  });
  return io::write_file_atomically(files_, directory + "/topic",
                                   seal({{"name", name},
                                         {"id", to_hex(random)},
                                         {"partitions", fmt::format("{}", partitions)},
                                         {"created", fmt::format("{}", now)}}));
}

std::vector<std::pair<std::string, EmbeddedLog::Topic*>> EmbeddedLog::all() {
  return topics_.with([](Topics& topics) {
    std::vector<std::pair<std::string, Topic*>> found;
    for (const auto& [name, topic] : topics) found.emplace_back(name, topic.get());
    return found;
  });
}

Result<EmbeddedLog::Topic*> EmbeddedLog::find(const std::string& topic) {
  return topics_.with([&](Topics& topics) -> Result<Topic*> {
    const auto found = topics.find(topic);
    if (found == topics.end()) return no_topic(topic);
    return found->second.get();
  });
}

Result<Partition*> EmbeddedLog::find(const TopicPartition& partition) {
  auto* const topic = TRY(find(partition.topic));
  const auto count = std::ssize(topic->partitions);
  if (partition.partition < 0 || partition.partition >= count)
    return Error{
        ErrorCode::not_found,
        fmt::format("topic '{}' has no partition {}", partition.topic, partition.partition),
        fmt::format("Its partitions are 0 to {}.", count - 1)};
  return topic->partitions[static_cast<std::size_t>(partition.partition)].get();
}

Result<std::vector<TopicInfo>> EmbeddedLog::topics() {
  std::vector<TopicInfo> infos;
  for (const auto& [name, topic] : all()) {
    TopicInfo info{name, to_hex(topic->id), {}};
    for (const auto& partition : topic->partitions) info.partitions.push_back(partition->info());
    infos.push_back(std::move(info));
  }
  return infos;
}

Result<std::vector<Position>> EmbeddedLog::append(const std::string& topic,
                                                  std::span<const Record> records) {
  TRY_STATUS(check_records(records));
  auto* const to = TRY(find(topic));
  const auto count = static_cast<std::int32_t>(to->partitions.size());
  // Records without a key stay together, and the next call's go to the next partition.
  const auto keyless = static_cast<std::int32_t>(
      count == 1 ? 0 : to->next_keyless.fetch_add(1) % static_cast<std::uint32_t>(count));
  std::vector<Position> positions(records.size());
  std::vector<std::vector<const Record*>> parts(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& key = records[i].key;
    const auto partition = count == 1 ? 0 : key.empty() ? keyless : partition_of(key, count);
    auto& part = parts[static_cast<std::size_t>(partition)];
    positions[i] = {partition, std::ssize(part)};
    part.push_back(&records[i]);
  }
  std::vector<Offset> first(parts.size(), 0);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;
    auto appended = to->partitions[i]->append(parts[i]);
    if (!appended) return std::move(appended).error().while_doing("appending to " + topic);
    first[i] = *appended;
  }
  for (auto& position : positions)
    position.offset += first[static_cast<std::size_t>(position.partition)];
  return positions;
}

Result<FetchedRecords> EmbeddedLog::fetch(const TopicPartition& from, Offset start,
                                          FetchLimits limits) {
  return TRY(find(from))->fetch(start, limits);
}

Result<Offset> EmbeddedLog::offset_at(const TopicPartition& from, Timestamp at) {
  return TRY(find(from))->offset_at(at);
}

Status EmbeddedLog::commit(const std::string& group, const TopicPartition& at, Offset next) {
  TRY(find(at));
  auto* const topic = TRY(find(at.topic));
  return offsets_.commit(group, to_hex(topic->id), at.partition, next);
}

Result<std::vector<GroupOffset>> EmbeddedLog::groups(const std::string& topic) {
  auto* const its = TRY(find(topic));
  return offsets_.of_topic(to_hex(its->id), static_cast<std::int32_t>(its->partitions.size()));
}

Result<std::optional<Offset>> EmbeddedLog::committed(const std::string& group,
                                                     const TopicPartition& at) {
  TRY(find(at));
  auto* const topic = TRY(find(at.topic));
  return offsets_.committed(group, to_hex(topic->id), at.partition);
}

Status EmbeddedLog::set_hold(const std::string& topic, std::optional<std::string> group) {
  TRY(find(topic));
  holds_.with([&](Holds& holds) {
    if (group)
      holds[topic] = *std::move(group);
    else
      holds.erase(topic);
  });
  return Ok{};
}

/// From which offset on a hold keeps records; the greatest offset there is where nothing does.
Offset EmbeddedLog::held_from(const std::string& topic, const Topic& owner,
                              std::int32_t partition) {
  const auto group = holds_.with([&](const Holds& holds) -> std::optional<std::string> {
    const auto found = holds.find(topic);
    if (found == holds.end()) return std::nullopt;
    return found->second;
  });
  if (!group) return std::numeric_limits<Offset>::max();
  return offsets_.committed(*group, to_hex(owner.id), partition).value_or(0);
}

Error EmbeddedLog::full(std::int64_t bytes, bool held) const {
  return Error{ErrorCode::unavailable,
               fmt::format("the message log is full: {} of {} bytes, and {} more do not fit",
                           context_.total_bytes.load(), options_.size_bytes_max, bytes),
               held ? fmt::format("{}, or raise {}.", options_.held_hint, options_.size_setting)
                    : fmt::format("Raise {}.", options_.size_setting)};
}

/// Drops the oldest segments that nobody holds until `bytes` more fit; none where they never can.
Result<std::optional<Error>> EmbeddedLog::make_room(std::int64_t bytes) {
  using Full = std::optional<Error>;
  if (context_.total_bytes + bytes <= options_.size_bytes_max) return Full();
  if (bytes > options_.size_bytes_max) return Full(full(bytes, false));
  return retention_.with([&](Ok&) -> Result<Full> {
    while (context_.total_bytes + bytes > options_.size_bytes_max) {
      Partition* oldest = nullptr;
      Timestamp oldest_at;
      bool held = false;
      for (const auto& [name, topic] : all()) {
        for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
          const auto segment = topic->partitions[i]->oldest_segment();
          if (!segment) continue;
          if (segment->end > held_from(name, *topic, static_cast<std::int32_t>(i))) {
            held = true;
          } else if (!oldest || segment->first_appended_at < oldest_at) {
            oldest = topic->partitions[i].get();
            oldest_at = segment->first_appended_at;
          }
        }
      }
      if (!oldest) return Full(full(bytes, held));
      TRY_STATUS(oldest->drop_oldest_segment());
    }
    return Full();
  });
}

Status EmbeddedLog::health() {
  for (const auto& [name, topic] : all())
    for (const auto& partition : topic->partitions) TRY_STATUS(partition->health());
  return Ok{};
}

Status EmbeddedLog::recover() {
  for (const auto& [name, topic] : all())
    for (const auto& partition : topic->partitions) TRY_STATUS(partition->recover());
  return Ok{};
}

LogUsage EmbeddedLog::usage() {
  LogUsage usage{context_.total_bytes, options_.size_bytes_max, false};
  const bool holds = holds_.with([](const Holds& held) { return !held.empty(); });
  usage.is_nearly_full = holds && static_cast<double>(usage.size_bytes) >=
                                      kNearlyFull * static_cast<double>(usage.size_bytes_max);
  return usage;
}

Result<std::vector<LogFile>> EmbeddedLog::files() {
  std::vector<LogFile> files;
  // A group's offsets first: they never lie past the records that follow.
  for (const auto& group : TRY(files_.list(options_.directory + "/__groups"))) {
    if (group.name.ends_with(".tmp")) continue;
    files.push_back({"__groups/" + group.name, group.size_bytes, {}});
  }
  for (const auto& [name, topic] : all()) {
    const auto said = TRY(files_.info(options_.directory + "/" + name + "/topic"));
    files.push_back({name + "/topic", said ? said->size_bytes : 0, {}});
    for (const auto& partition : topic->partitions) TRY_STATUS(partition->add_files(files));
  }
  return files;
}

Result<VerifyReport> EmbeddedLog::verify(const std::string& topic) {
  if (!topic.empty()) TRY(find(topic));
  VerifyReport report;
  for (const auto& [name, one] : all()) {
    if (!topic.empty() && name != topic) continue;
    for (const auto& partition : one->partitions) TRY_STATUS(partition->verify(report));
  }
  return report;
}

Result<RepairReport> EmbeddedLog::repair(const std::string& topic) {
  RepairReport total;
  auto* const one = TRY(find(topic));
  for (const auto& partition : one->partitions) {
    const auto report = TRY(partition->repair());
    total.segments_rewritten += report.segments_rewritten;
    total.records_lost += report.records_lost;
  }
  return total;
}

}  // namespace tapeline::msglog
