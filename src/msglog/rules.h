// What every message log refuses, in one place: names, numbers and sizes that Kafka would not take.

#pragma once

#include <span>
#include <string>

#include "msglog/message_log.h"

namespace tapeline::msglog {

inline constexpr std::size_t kRecordsMax = 10'000;  // of one append
inline constexpr std::int32_t kPartitionsMax = 1000;
inline constexpr std::size_t kKeyBytesMax = 64 << 10;
inline constexpr std::size_t kValueBytesMax = 1 << 20;

/// errors: invalid_argument (the name, the number of partitions)
Status check_topic(const std::string& name, std::int32_t partitions);

/// errors: invalid_argument (none, too many, or too long a record)
Status check_records(std::span<const Record> records);

bool is_topic_name(const std::string& name);

Error no_topic(const std::string& name);
Error topic_is_there(const std::string& name);

}  // namespace tapeline::msglog
