// The command line: one table that the parser, --help and docs/cli.md all read.

#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tapeline::app {

struct Flag {
  std::string_view name;      // without the dashes
  std::string_view value;     // what the help calls its value; empty for a switch
  std::string_view fallback;  // shown in the help; the code that reads the flag holds to it
  std::string_view help;      // one line
  char letter = '\0';         // -c for --query
};

/// Where a command does its work.
enum class Place : std::uint8_t {
  here,       // in this process, whoever owns a data directory
  directory,  // in the process that owns the data directory: a running `up`, or this one
  owner,      // in this process, which becomes the owner
};

struct Command {
  std::string_view name;     // "topic tail"
  std::string_view words;    // what may follow: "TOPIC", "FILE...", or ""
  std::string_view summary;  // one line
  Place place;
  std::span<const Flag> flags;
  std::string_view examples;  // lines, each a whole command
  bool passes_all = false;    // every word after the name goes to the command as it is (dbt)
};

/// Flags that every command takes.
std::span<const Flag> common_flags();

/// Every command, in the order of the help.
std::span<const Command> commands();

/// A command line, understood.
struct Invocation {
  const Command* command = nullptr;
  std::map<std::string, std::string, std::less<>> values;  // flags given; a switch is "true"
  std::vector<std::string> words;                          // what stood without a flag
  bool help = false;  // of all, of `command`, or of the group that is the only word

  bool has(std::string_view flag) const { return values.contains(flag); }
  std::optional<std::string> value(std::string_view flag) const;
};

/// errors: invalid_argument; the hint names the closest command or flag there is
Result<Invocation> parse_command_line(const std::vector<std::string>& words);

/// The error of a command line that cannot be obeyed.
Error usage(std::string message, std::string hint);

/// What `tapeline --help` prints, `tapeline dag --help`, and `tapeline COMMAND --help`.
std::string help();
std::string help_of_group(std::string_view group);
std::string help(const Command& command);

/// docs/cli.md, whole.
std::string cli_reference();

}  // namespace tapeline::app
