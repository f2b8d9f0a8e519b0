// For tests: a message log in memory that can be told to fail.

#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>

#include "msglog/message_log.h"

namespace tapeline::serve {

class MemoryLog final : public msglog::MessageLog {
 public:
  Status create_topic(const std::string& name, std::int32_t partitions) override {
    std::lock_guard lock(mutex_);
    topics_[name].resize(static_cast<std::size_t>(partitions));
    return Ok{};
  }

  Result<std::vector<msglog::TopicInfo>> topics() override {
    std::lock_guard lock(mutex_);
    std::vector<msglog::TopicInfo> all;
    for (const auto& [name, partitions] : topics_) {
      msglog::TopicInfo info{name, std::string(32, 'a'), {}};
      for (const auto& records : partitions)
        info.partitions.push_back({0, static_cast<msglog::Offset>(records.size()), 0});
      all.push_back(std::move(info));
    }
    return all;
  }

  Result<std::vector<msglog::Position>> append(const std::string& topic,
                                               std::span<const msglog::Record> records) override {
    std::lock_guard lock(mutex_);
    if (failure) return *failure;
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return Error{ErrorCode::not_found, "there is no topic", ""};
    std::vector<msglog::Position> positions;
    for (const auto& record : records) {
      const std::size_t partition = record.key.empty() ? 0 : record.key[0] % found->second.size();
      auto& to = found->second[partition];
      positions.push_back(
          {static_cast<std::int32_t>(partition), static_cast<msglog::Offset>(to.size())});
      to.push_back(record);
    }
    return positions;
  }

  Result<msglog::FetchedRecords> fetch(const msglog::TopicPartition& from, msglog::Offset start,
                                       msglog::FetchLimits limits) override {
    std::lock_guard lock(mutex_);
    const auto found = topics_.find(from.topic);
    if (found == topics_.end()) return Error{ErrorCode::not_found, "there is no topic", ""};
    const auto& records = found->second.at(static_cast<std::size_t>(from.partition));
    if (start > static_cast<msglog::Offset>(records.size()))
      return Error{ErrorCode::invalid_argument, "past the end", ""};
    auto memory = std::make_shared<std::string>();
    const auto end = std::min<msglog::Offset>(static_cast<msglog::Offset>(records.size()),
                                              start + limits.records_max);
    for (auto i = start; i < end; ++i) {
      const auto& record = records[static_cast<std::size_t>(i)];
      *memory += record.key + record.value;
    }
    msglog::FetchedRecords fetched;
    std::string_view rest = *memory;
    for (auto i = start; i < end; ++i) {
      const auto& record = records[static_cast<std::size_t>(i)];
      const auto key = rest.substr(0, record.key.size());
      const auto value = rest.substr(key.size(), record.value.size());
      rest.remove_prefix(key.size() + value.size());
      fetched.records.push_back({i, appended_at, key, value});
    }
    fetched.next = end;
    fetched.memory = std::move(memory);
    return fetched;
  }

  Result<msglog::Offset> offset_at(const msglog::TopicPartition&, Timestamp) override {
    return msglog::Offset{0};
  }
  Status commit(const std::string&, const msglog::TopicPartition&, msglog::Offset) override {
    return Ok{};
  }
  Result<std::optional<msglog::Offset>> committed(const std::string&,
                                                  const msglog::TopicPartition&) override {
    return std::optional<msglog::Offset>();
  }
  Result<std::vector<msglog::GroupOffset>> groups(const std::string&) override {
    return std::vector<msglog::GroupOffset>();
  }

  Timestamp appended_at;         // of every record
  std::optional<Error> failure;  // of every append

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<std::vector<msglog::Record>>> topics_;
};

}  // namespace tapeline::serve
