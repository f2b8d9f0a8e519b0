// Settings: single values that must survive a restart, by key.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "state/database.h"

namespace tapeline::state {

/// Key and value, as text. What keys mean is their owner's: "simulator.started_at", say.
///
/// lifetime: the database must outlive it
/// threads:  any
class Settings {
 public:
  explicit Settings(Database& database) : database_(database) {}

  /// The stored value; none where the key was never set.
  Result<std::optional<std::string>> get(std::string_view key) const;

  /// promise: durable when this returns, with Sync::now
  Status set(std::string_view key, std::string_view value, Sync sync = Sync::now);

  /// Forgets a value; fine where there is none.
  Status remove(std::string_view key);

  /// The stored value, or, where there is none, `value`, which is stored then.
  Result<std::string> get_or_set(std::string_view key, std::string_view value);

 private:
  Database& database_;
};

}  // namespace tapeline::state
