// Statistics: what librdkafka tells every few seconds, as metrics.

#pragma once

#include <string_view>

namespace tapeline::msglog {

struct KafkaProbe;

/// Takes librdkafka's statistics, JSON as its STATISTICS.md says; what it does not find stays.
void note_statistics(std::string_view json, KafkaProbe& probe);

}  // namespace tapeline::msglog
