// What the topic commands share.

#pragma once

#include <string>

#include "app/commands/commands.h"

namespace tapeline::app {

/// errors: not_found, with what is spelled nearly so
Result<msglog::TopicInfo> find_topic(Pipeline& pipeline, const std::string& name);

/// Who has got how far in a topic: by partition, and summed up.
ExitCode list_groups(Pipeline& pipeline, const Call& call);
ExitCode show_lag(Pipeline& pipeline, const Call& call);

}  // namespace tapeline::app
