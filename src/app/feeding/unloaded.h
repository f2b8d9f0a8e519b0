// What the topic holds and the warehouse has not loaded yet, for feeds that go on where they were.

#pragma once

#include <functional>

#include "app/pipeline.h"
#include "wire/message.h"

namespace tapeline::app {

/// Calls `use` with each message of the topic that no loader has taken, partition by partition.
/// While Kafka is away there is nothing to look at, and that is no error.
/// errors: those of log and warehouse
Status each_unloaded(Pipeline& pipeline, const std::function<void(const wire::QuoteView&)>& use);

}  // namespace tapeline::app
