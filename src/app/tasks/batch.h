// Batch: offset ranges as the task `consume` hands them to `load`, through a scheduler: ours, or
// one outside.

#pragma once

#include <vector>

#include "dag/task_runner.h"
#include "ingest/loader.h"
#include "msglog/message_log.h"
#include "text/value.h"

namespace tapeline::app {

/// {"ranges":[{"topic","topic_id","partition","first","next"}]}
text::Value to_value(const std::vector<ingest::OffsetRange>& ranges);

/// What `consume` returned; nothing where it returned nothing. A scheduler outside may hand on
/// anything: a batch that names another topic than ours would be written down as loaded.
/// errors: invalid_argument
Result<std::vector<ingest::OffsetRange>> batch_of(const dag::TaskContext& context,
                                                  const std::vector<msglog::TopicInfo>& topics);

}  // namespace tapeline::app
