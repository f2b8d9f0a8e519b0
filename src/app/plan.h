// Plan: what a process that runs is asked for: its part, its feed, its address, its directory.

#pragma once

#include <cstdint>
#include <string>

#include "app/commands/commands.h"
#include "app/config.h"
#include "app/data_directory.h"

namespace tapeline::app {

/// The part of a process: `up` and `replay` are all of it in one, the others join a directory that
/// another process may own, and take over when that one is gone.
enum class Role : std::uint8_t { up, replay, produce, load, serve };

constexpr std::string_view to_string(Role role) {
  constexpr std::string_view kNames[] = {"up", "replay", "produce", "load", "serve"};
  return kNames[static_cast<std::size_t>(role)];
}

/// Whether it works beside others on one directory.
constexpr bool joins(Role role) { return role != Role::up && role != Role::replay; }

struct Address {
  std::string host;  // an IP address
  std::uint16_t port = 0;

  std::string url() const;
};

/// errors: invalid_argument; unsupported beyond this machine
Result<Address> parse_address(const std::string& text);

struct Plan {
  Role role = Role::up;
  std::string name;          // of this process among those of its directory: "load-4711"
  std::string feed;          // simulator, finnhub, replay, none
  bool own_symbols = false;  // feed those of the configuration, whatever the directory follows
  Address address;           // of dashboard and API
  std::string path;          // the data directory
  DirectoryKind kind = DirectoryKind::market;  // where a feed says so, or the directory is made
  std::string lock_folder;                     // where the user's processes agree on who uses a key
  Duration lease{0};
};

/// errors: invalid_argument, unsupported
Result<Plan> make_plan(io::FileSystem& files, const Environment& environment, const Config& config,
                       const Call& call);

}  // namespace tapeline::app
