// A host object made of named members: what dbt's context has many of (exceptions, flags, api).

#pragma once

#include <functional>
#include <map>
#include <string>

#include "jinja/value.h"

namespace tapeline::transform {

using HostFunction = std::function<Result<jinja::Value>(const jinja::Arguments&)>;

/// An object with fixed members; callable where `call` is given.
jinja::Value make_object(std::string type_name, std::map<std::string, jinja::Value> members,
                         HostFunction call = {});

}  // namespace tapeline::transform
