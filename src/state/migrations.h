// Migrations: the tables of state.sqlite, version by version.

#pragma once

#include "state/database.h"

namespace tapeline::state {

/// Brings the tables up to the newest version, one transaction a version. The version is
/// SQLite's `user_version`.
/// errors: unsupported where a newer tapeline has been here
Status migrate(Connection& connection);

}  // namespace tapeline::state
