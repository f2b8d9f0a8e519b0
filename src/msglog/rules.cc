#include "msglog/rules.h"

#include <fmt/format.h>

namespace tapeline::msglog {

/// Kafka's rule for topic names; names that begin with two underscores are the log's own.
bool is_topic_name(const std::string& name) {
  constexpr std::size_t kNameMax = 249;
  return !name.empty() && name.size() <= kNameMax && name != "." && name != ".." &&
         !name.starts_with("__") &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             "._-") == name.npos;
}

Status check_topic(const std::string& name, std::int32_t partitions) {
  if (!is_topic_name(name))
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is not a name for a topic", name),
                 "Use 1 to 249 of the letters, digits, dots, dashes and underscores, not "
                 "beginning with two underscores."};
  if (partitions < 1 || partitions > kPartitionsMax)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("a topic has 1 to {} partitions, not {}", kPartitionsMax, partitions),
                 ""};
  return Ok{};
}

Status check_records(std::span<const Record> records) {
  if (records.empty() || records.size() > kRecordsMax)
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("an append takes 1 to {} records, not {}", kRecordsMax, records.size()),
        "Split it."};
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].value.size() > kValueBytesMax)
      return Error{ErrorCode::invalid_argument,
                   fmt::format("record {} has a value of {} bytes; {} is the most", i,
                               records[i].value.size(), kValueBytesMax),
                   ""};
    if (records[i].key.size() > kKeyBytesMax)
      return Error{ErrorCode::invalid_argument,
                   fmt::format("record {} has a key of {} bytes; {} is the most", i,
                               records[i].key.size(), kKeyBytesMax),
                   ""};
  }
  return Ok{};
}

Error no_topic(const std::string& name) {
  return Error{ErrorCode::not_found, fmt::format("there is no topic '{}'", name),
               "`tapeline topic list` shows those that exist."};
}

Error topic_is_there(const std::string& name) {
  return Error{ErrorCode::already_exists, fmt::format("there is a topic '{}' already", name), ""};
}

}  // namespace tapeline::msglog
