// A host object made of named members: what dbt's context has many of (exceptions, flags, api).

#pragma once

#include <functional>
#include <map>
#include <string>

#include "jinja/value.h"

namespace tapeline::transform {

using HostFunction = std::function<Result<jinja::Value>(const jinja::Arguments&)>;

/// A host object as a value.
template <typename T, typename... Arguments>
jinja::Value host_value(Arguments&&... arguments) {
  std::shared_ptr<jinja::HostObject> object =
      std::make_shared<T>(std::forward<Arguments>(arguments)...);
  return jinja::Value(std::move(object));
}

/// An object with fixed members; callable where `call` is given.
jinja::Value make_object(std::string type_name, std::map<std::string, jinja::Value> members,
                         HostFunction call = {});

}  // namespace tapeline::transform
