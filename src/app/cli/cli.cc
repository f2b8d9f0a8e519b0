#include "app/cli/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/nearest.h"
#include "transform/command_line.h"

namespace tapeline::app {
Error usage(std::string message, std::string hint) {
  return Error{ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

namespace {

// Commands of the design that are not there yet: naming one says so.
constexpr std::array<std::string_view, 2> kLater = {"explain", "alert"};

const Flag* find_flag(const Command& command, std::string_view name) {
  for (const Flag& flag : command.flags) {
    if (flag.name == name) return &flag;
  }
  for (const Flag& flag : common_flags()) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

std::vector<std::string> flag_names(const Command& command) {
  std::vector<std::string> names;
  for (const Flag& flag : command.flags) names.emplace_back(flag.name);
  for (const Flag& flag : common_flags()) names.emplace_back(flag.name);
  return names;
}

std::string did_you_mean(const std::string& name, std::string_view otherwise) {
  return name.empty() ? std::string(otherwise) : fmt::format("Did you mean `{}`?", name);
}

/// The command whose name stands at the front of `words`, and how many words it took.
Result<std::pair<const Command*, std::size_t>> find_command(const std::vector<std::string>& words) {
  const std::string& first = words[0];
  std::vector<std::string> firsts;
  std::vector<std::string> seconds;
  for (const Command& command : commands()) {
    const auto blank = command.name.find(' ');
    firsts.emplace_back(command.name.substr(0, blank));
    if (blank == std::string_view::npos) {
      if (command.name == first) return std::pair(&command, std::size_t{1});
      continue;
    }
    if (command.name.substr(0, blank) != first) continue;
    seconds.emplace_back(command.name.substr(blank + 1));
    if (words.size() > 1 && command.name.substr(blank + 1) == words[1]) {
      return std::pair(&command, std::size_t{2});
    }
    if (words.size() > 2 && command.name.substr(blank + 1) == words[1] + " " + words[2]) {
      return std::pair(&command, std::size_t{3});
    }
  }
  if (!seconds.empty()) {
    std::string all;
    for (const auto& second : seconds) all += (all.empty() ? "" : ", ") + second;
    if (words.size() < 2 || words[1].starts_with("-")) {
      return usage(fmt::format("`{}` needs one of: {}", first, all),
                   fmt::format("`tapeline {} --help` says what each does.", first));
    }
    return usage(fmt::format("`{}` has no command `{}`", first, words[1]),
                 did_you_mean(text::nearest(words[1], seconds), "It has: " + all + "."));
  }
  if (std::find(kLater.begin(), kLater.end(), first) != kLater.end()) {
    return usage(fmt::format("`{}` is not there yet", first), "A later release brings it.");
  }
  return usage(fmt::format("tapeline has no command `{}`", first),
               did_you_mean(text::nearest(first, firsts), "`tapeline --help` lists them."));
}

Status read_flag(Invocation& call, const std::vector<std::string>& words, std::size_t& at) {
  const Command& command = *call.command;
  std::string name = words[at].substr(2);
  std::optional<std::string> value;
  if (const auto equals = name.find('='); equals != std::string::npos) {
    value = name.substr(equals + 1);
    name.resize(equals);
  }
  if (words[at][1] != '-') {
    name.clear();
    for (const Flag& flag : command.flags) {
      if (flag.letter != '\0' && words[at].size() == 2 && words[at][1] == flag.letter) {
        name = flag.name;
      }
    }
    if (words[at] == "-h") name = "help";
  }
  const Flag* flag = find_flag(command, name);
  if (!flag) {
    const std::string near = text::nearest(name, flag_names(command));
    return usage(fmt::format("`{}` has no flag `{}`", command.name, words[at]),
                 near.empty() ? fmt::format("`tapeline {} --help` lists them.", command.name)
                              : fmt::format("Did you mean `--{}`?", near));
  }
  if (flag->value.empty()) {
    if (value) return usage(fmt::format("`--{}` takes no value", name), "");
    call.values[name] = "true";
  } else {
    if (!value) {
      if (at + 1 >= words.size()) {
        return usage(fmt::format("`--{}` needs a value", name),
                     fmt::format("Write --{} {}.", name, flag->value));
      }
      value = words[++at];
    }
    const auto before = call.values.find(name);
    if (flag->value.ends_with("...") && before != call.values.end()) {
      value = before->second + "," + *value;
    }
    call.values[name] = *value;
  }
  if (name == "help") call.help = true;
  return Ok{};
}

/// How many words a command takes, from its usage line: "DAG RUN" is two, "FILE..." any above 0.
Status check_words(const Invocation& call) {
  const Command& command = *call.command;
  std::size_t least = 0;
  std::size_t most = 0;
  bool any = false;
  for (std::size_t at = 0; at < command.words.size();) {
    auto end = command.words.find(' ', at);
    if (end == std::string_view::npos) end = command.words.size();
    const auto word = command.words.substr(at, end - at);
    if (word.front() != '[') ++least;
    ++most;
    any = any || word.ends_with("...");
    at = end + 1;
  }
  if (call.words.size() < least) {
    return usage(fmt::format("`{}` needs {}", command.name, command.words),
                 fmt::format("`tapeline {} --help` has an example.", command.name));
  }
  if (!any && call.words.size() > most) {
    return usage(
        fmt::format("`{}` does not know what to do with '{}'", command.name, call.words[most]),
        fmt::format("`tapeline {} --help` has an example.", command.name));
  }
  return Ok{};
}

/// Whether `word` begins the names of several commands, as `dag` does.
bool is_group(std::string_view word) {
  return std::ranges::any_of(commands(), [&](const Command& command) {
    return command.name.size() > word.size() && command.name.starts_with(word) &&
           command.name[word.size()] == ' ';
  });
}

/// A line for each command whose name begins with `prefix`.
std::string command_lines(std::string_view prefix) {
  const auto listed = [&](const Command& command) { return command.name.starts_with(prefix); };
  std::size_t width = 0;
  for (const Command& command : commands()) {
    if (listed(command)) width = std::max(width, command.name.size() + command.words.size() + 1);
  }
  std::string out;
  for (const Command& command : commands()) {
    if (!listed(command)) continue;
    out += fmt::format("  {:<{}}  {}\n", fmt::format("{} {}", command.name, command.words), width,
                       command.summary);
  }
  return out;
}

std::string flag_lines(std::span<const Flag> flags) {
  std::size_t width = 0;
  const auto left = [](const Flag& flag) {
    const std::string letter = flag.letter != '\0' ? fmt::format("-{}, ", flag.letter) : "";
    return fmt::format("{}--{}{}{}", letter, flag.name, flag.value.empty() ? "" : " ", flag.value);
  };
  for (const Flag& flag : flags) width = std::max(width, left(flag).size());
  std::string out;
  for (const Flag& flag : flags) {
    out += fmt::format("  {:<{}}  {}{}\n", left(flag), width, flag.help,
                       flag.fallback.empty() ? "" : fmt::format(" [{}]", flag.fallback));
  }
  return out;
}

}  // namespace

std::optional<std::string> Invocation::value(std::string_view flag) const {
  const auto found = values.find(flag);
  if (found == values.end()) return std::nullopt;
  return found->second;
}

Result<Invocation> parse_command_line(const std::vector<std::string>& words) {
  Invocation call;
  if (words.size() > 1 && words[0] == "help") {
    std::vector<std::string> asked(words.begin() + 1, words.end());
    asked.emplace_back("--help");
    return parse_command_line(asked);
  }
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    call.help = true;
    return call;
  }
  if (words[0] == "--version") return parse_command_line({"version"});
  if (words.size() == 2 && (words[1] == "--help" || words[1] == "-h") && is_group(words[0])) {
    call.help = true;
    call.words = {words[0]};
    return call;
  }
  const auto [command, taken] = TRY(find_command(words));
  call.command = command;
  if (command->passes_all) {
    // dbt's own flags are dbt's to read; only ours before its words are taken out.
    std::size_t at = taken;
    while (at < words.size() &&
           (words[at] == "--data-dir" || words[at].starts_with("--data-dir="))) {
      TRY_STATUS(read_flag(call, words, at));
      ++at;
    }
    call.words.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
    for (std::size_t i = 0; i < call.words.size();) {
      if (call.words[i] == "--data-dir" && i + 1 < call.words.size()) {
        call.values["data-dir"] = call.words[i + 1];
        call.words.erase(call.words.begin() + static_cast<std::ptrdiff_t>(i),
                         call.words.begin() + static_cast<std::ptrdiff_t>(i) + 2);
      } else {
        ++i;
      }
    }
    call.help = call.words.empty() || std::ranges::find(call.words, "--help") != call.words.end();
    return call;
  }
  for (std::size_t at = taken; at < words.size(); ++at) {
    if (words[at].size() > 1 && words[at][0] == '-') {
      TRY_STATUS(read_flag(call, words, at));
    } else {
      call.words.push_back(words[at]);
    }
  }
  if (!call.help) TRY_STATUS(check_words(call));
  return call;
}

std::string help() {
  std::string out =
      "tapeline: quotes and trades, from feed to live dashboard, in one program\n\n"
      "  tapeline up                    a live chart of a simulated exchange; no account, no key\n"
      "  tapeline import FILE...        load years of real history\n"
      "  tapeline COMMAND --help        flags and examples of a command\n\n"
      "commands:\n";
  return out + command_lines("") +
         "\nexit codes: 0 done, 1 it ran and something in it failed, 2 usage, "
         "configuration or internal error\n";
}

std::string help_of_group(std::string_view group) {
  return fmt::format(
      "tapeline {0} COMMAND\n\ncommands:\n{1}\n`tapeline {0} COMMAND --help` shows its flags, "
      "and examples.\n",
      group, command_lines(fmt::format("{} ", group)));
}

std::string help(const Command& command) {
  std::string out = fmt::format("tapeline {}{}{}: {}\n\n", command.name,
                                command.words.empty() ? "" : " ", command.words, command.summary);
  std::vector<Flag> flags(command.flags.begin(), command.flags.end());
  if (command.passes_all) {
    flags.push_back(common_flags()[0]);
    out += transform::command_line_help() + '\n';
  } else {
    flags.insert(flags.end(), common_flags().begin(), common_flags().end());
  }
  out += flag_lines(flags);
  out += "\nexamples:\n";
  for (std::size_t at = 0; at < command.examples.size();) {
    auto end = command.examples.find('\n', at);
    if (end == std::string_view::npos) end = command.examples.size();
    out += fmt::format("  {}\n", command.examples.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::string cli_reference() {
  std::string out =
      "# Command line\n\nGenerated from the program's own table; a test compares the two "
      "(`TAPELINE_UPDATE=1` writes it).\n\n"
      "```\n" +
      help() + "```\n";
  for (const Command& command : commands()) {
    out += fmt::format("\n## {}\n\n```\n{}```\n", command.name, help(command));
  }
  return out;
}

}  // namespace tapeline::app
