#include "state/settings.h"

namespace tapeline::state {
namespace {

constexpr std::string_view kGet = "select value from settings where key = ?";

}  // namespace

Result<std::optional<std::string>> Settings::get(std::string_view key) const {
  return database_.read([&](Connection& connection) -> Result<std::optional<std::string>> {
    const auto rows = TRY(connection.query(kGet, {std::string(key)}));
    if (rows.empty()) return std::optional<std::string>();
    return std::optional(rows[0].text(0));
  });
}

Status Settings::set(std::string_view key, std::string_view value, Sync sync) {
  return database_.write(sync, [&](Connection& connection) {
    return connection.run("insert or replace into settings values (?, ?)",
                          {std::string(key), std::string(value)});
  });
}

Status Settings::remove(std::string_view key) {
  return database_.write(Sync::now, [&](Connection& connection) {
    return connection.run("delete from settings where key = ?", {std::string(key)});
  });
}

Result<std::string> Settings::get_or_set(std::string_view key, std::string_view value) {
  return database_.write(Sync::now, [&](Connection& connection) -> Result<std::string> {
    TRY_STATUS(connection.run("insert or ignore into settings values (?, ?)",
                              {std::string(key), std::string(value)}));
    const auto rows = TRY(connection.query(kGet, {std::string(key)}));
    return rows.at(0).text(0);
  });
}

}  // namespace tapeline::state
