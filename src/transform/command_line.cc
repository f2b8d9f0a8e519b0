#include "transform/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/nearest.h"

namespace tapeline::transform {
namespace {

enum class Takes : std::uint8_t { nothing, one, many };

struct Flag {
  const char* name;
  const char* shorthand;
  Takes takes;
  const char* help;  // nullptr: known to dbt, accepted, and without effect here
};

constexpr std::array kFlags = {
    Flag{"--select", "-s", Takes::many, "nodes to take, in dbt's selector syntax"},
    Flag{"--models", "-m", Takes::many, "as --select"},
    Flag{"--exclude", "", Takes::many, "nodes to leave out"},
    Flag{"--resource-type", "", Takes::many, "model, test or source (ls, build)"},
    Flag{"--full-refresh", "-f", Takes::nothing, "rebuild incremental models from nothing"},
    Flag{"--fail-fast", "-x", Takes::nothing, "stop at the first failure"},
    Flag{"--store-failures", "", Takes::nothing, "keep the rows that fail a data test"},
    Flag{"--vars", "", Takes::one, "variables, as YAML"},
    Flag{"--indirect-selection", "", Takes::one,
         "tests to take: eager, cautious, buildable, empty"},
    Flag{"--profile", "", Takes::one, "the profile, instead of the project's"},
    Flag{"--target", "-t", Takes::one, "the profile's target"},
    Flag{"--profiles-dir", "", Takes::one, "the folder of profiles.yml"},
    Flag{"--project-dir", "", Takes::one, "the folder of dbt_project.yml"},
    Flag{"--target-path", "", Takes::one, "where artifacts go"},
    Flag{"--output", "", Takes::one, "of ls: json, name, path or selector"},
    Flag{"--quiet", "-q", Takes::nothing, "print errors only"},
    Flag{"--no-write-json", "", Takes::nothing, "leave out manifest.json and run_results.json"},
    Flag{"--threads", "", Takes::one, nullptr},
    Flag{"--log-level", "", Takes::one, nullptr},
    Flag{"--log-path", "", Takes::one, nullptr},
    Flag{"--log-format", "", Takes::one, nullptr},
    Flag{"--no-partial-parse", "", Takes::nothing, nullptr},
    Flag{"--partial-parse", "", Takes::nothing, nullptr},
    Flag{"--no-use-colors", "", Takes::nothing, nullptr},
    Flag{"--use-colors", "", Takes::nothing, nullptr},
    Flag{"--no-version-check", "", Takes::nothing, nullptr},
    Flag{"--version-check", "", Takes::nothing, nullptr},
    Flag{"--no-static-parser", "", Takes::nothing, nullptr},
    Flag{"--write-json", "", Takes::nothing, nullptr},
    Flag{"--debug", "-d", Takes::nothing, nullptr},
    Flag{"--no-print", "", Takes::nothing, nullptr},
    Flag{"--no-send-anonymous-usage-stats", "", Takes::nothing, nullptr},
};

struct Command {
  const char* name;
  const char* help;  // nullptr: dbt's, not there yet
};

constexpr std::array kCommands = {
    Command{"run", "build models"},
    Command{"test", "run data tests"},
    Command{"build", "build models and test each before what depends on it"},
    Command{"compile", "write the SQL without running it"},
    Command{"parse", "read the project and write its manifest"},
    Command{"ls", "list nodes"},
    Command{"debug", "check the project and its connection"},
    Command{"list", nullptr},
    Command{"seed", nullptr},
    Command{"snapshot", nullptr},
    Command{"docs", nullptr},
    Command{"deps", nullptr},
    Command{"clean", nullptr},
    Command{"run-operation", nullptr},
    Command{"show", nullptr},
    Command{"source", nullptr},
    Command{"retry", nullptr},
    Command{"clone", nullptr},
    Command{"init", nullptr},
};

constexpr std::array kLaterFlags = {
    "--defer", "--state",       "--empty",      "--sample",           "--selector",      "--inline",
    "--limit", "--output-keys", "--warn-error", "--event-time-start", "--event-time-end"};

template <typename Table>
std::string did_you_mean(std::string_view word, const Table& table) {
  std::vector<std::string> names;
  for (const auto& entry : table) names.emplace_back(entry.name);
  const std::string best = text::nearest(word, names);
  return best.empty() ? "`tapeline dbt --help` lists what there is."
                      : fmt::format("Did you mean `{}`?", best);
}

Error usage(std::string message, std::string hint = "") {
  return {ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

const Flag* find_flag(std::string_view word) {
  for (const auto& flag : kFlags)
    if (word == flag.name || (*flag.shorthand != '\0' && word == flag.shorthand)) return &flag;
  return nullptr;
}

Status check_choice(std::string_view flag, const std::string& value,
                    const std::vector<std::string>& choices) {
  if (std::ranges::find(choices, value) != choices.end()) return Ok{};
  return usage(fmt::format("Invalid value for '{}': '{}' is not one of '{}'.", flag, value,
                           fmt::join(choices, "', '")));
}

Status apply(const Flag& flag, const std::vector<std::string>& values, CommandLine& line) {
  const std::string_view name = flag.name;
  auto& invocation = line.invocation;
  const auto add = [&values](std::vector<std::string>& to) {
    to.insert(to.end(), values.begin(), values.end());
  };
  if (name == "--select" || name == "--models")
    add(invocation.select);
  else if (name == "--exclude")
    add(invocation.exclude);
  else if (name == "--resource-type")
    add(invocation.resource_types);
  else if (name == "--full-refresh")
    invocation.full_refresh = true;
  else if (name == "--fail-fast")
    invocation.fail_fast = true;
  else if (name == "--store-failures")
    invocation.store_failures = true;
  else if (name == "--target")
    line.target = values[0];
  else if (name == "--profiles-dir")
    line.profiles_dir = values[0];
  else if (name == "--project-dir")
    line.project_dir = values[0];
  else if (name == "--target-path")
    line.target_path = values[0];
  else if (name == "--profile")
    line.profile = values[0];
  else if (name == "--output") {
    TRY_STATUS(check_choice(name, values[0], {"json", "name", "path", "selector"}));
    invocation.output = values[0];
  } else if (name == "--indirect-selection") {
    TRY_STATUS(check_choice(name, values[0], {"eager", "cautious", "buildable", "empty"}));
    invocation.indirect_selection = values[0];
  } else if (name == "--quiet")
    invocation.quiet = true;
  else if (name == "--no-write-json")
    line.write_json = false;
  else if (name == "--vars") {
    const auto parsed = text::parse_yaml(values[0]);
    if (!parsed || !(parsed->is_object() || parsed->is_null()))
      return usage(
          fmt::format("The YAML provided in the --vars argument is not valid: '{}'", values[0]),
          "Give a mapping: --vars '{name: value}'.");
    if (parsed->is_object()) invocation.vars = *parsed;
  }
  return Ok{};
}

/// Artifacts can be made again, so nothing waits for the disk.
Status write_artifact(io::FileSystem& disk, const std::string& path, std::string_view bytes) {
  for (auto slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1))
    TRY_STATUS(disk.make_directory(path.substr(0, slash)));
  const auto file = TRY(disk.open(path, io::OpenMode::write));
  TRY_STATUS(file->truncate(0));
  return file->write_at(0, bytes);
}

}  // namespace

std::string command_line_help() {
  std::string out = "Takes dbt's own subcommands and flags:\n\n";
  for (const auto& command : kCommands)
    if (command.help != nullptr) out += fmt::format("  {:<18} {}\n", command.name, command.help);
  out += '\n';
  for (const auto& flag : kFlags)
    if (flag.help != nullptr)
      out += fmt::format("  {:<18} {}{}\n", flag.name, flag.help,
                         *flag.shorthand == '\0' ? "" : fmt::format(" ({})", flag.shorthand));
  return out;
}

Result<CommandLine> parse_command_line(std::span<const std::string> words) {
  CommandLine line;
  std::string command;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string word = words[i];
    if (!word.starts_with('-') || word == "-") {
      if (!command.empty())
        return usage(fmt::format("Got unexpected extra argument ({})", word),
                     fmt::format("Selections follow a flag: dbt {} --select {}", command, word));
      command = word;
      continue;
    }
    std::optional<std::string> attached;
    if (const auto equals = word.find('='); word.starts_with("--") && equals != std::string::npos) {
      attached = word.substr(equals + 1);
      word = word.substr(0, equals);
    }
    const auto* flag = find_flag(word);
    if (flag == nullptr) {
      if (std::ranges::find(kLaterFlags, word) != kLaterFlags.end())
        return Error{ErrorCode::unsupported, fmt::format("the option '{}' is not there yet", word),
                     ""};
      return usage(fmt::format("No such option '{}'.", word), did_you_mean(word, kFlags));
    }
    std::vector<std::string> values;
    if (attached) values.push_back(*attached);
    while (!attached && flag->takes != Takes::nothing && i + 1 < words.size() &&
           (values.empty() || (flag->takes == Takes::many && !command.empty())) &&
           !words[i + 1].starts_with("-"))
      values.push_back(words[++i]);
    if (flag->takes != Takes::nothing && values.empty())
      return usage(fmt::format("Option '{}' requires an argument.", word));
    TRY_STATUS(apply(*flag, values, line));
  }
  if (command.empty())
    return usage("Missing command.", "`tapeline dbt --help` lists what there is.");
  if (command == "list") command = "ls";
  const auto known = std::ranges::find(kCommands, command, &Command::name);
  if (known == kCommands.end())
    return usage(fmt::format("No such command '{}'.", command), did_you_mean(command, kCommands));
  if (known->help == nullptr)
    return Error{ErrorCode::unsupported, fmt::format("the command '{}' is not there yet", command),
                 "run, test, build, compile, parse, ls and debug are."};
  line.invocation.command = command;
  return line;
}

Result<int> run_command_line(std::span<const std::string> words, const CommandLineWorld& world,
                             std::stop_token stop) {
  const auto usage_exit = [&world](const Error& error) {
    world.out("Error: " + error.message + (error.hint.empty() ? "" : "\n" + error.hint));
    return 2;
  };
  if (words.empty() || std::ranges::find(words, "--help") != words.end()) {
    world.out(command_line_help());
    return words.empty() ? 2 : 0;
  }
  const auto parsed = parse_command_line(words);
  if (!parsed) return usage_exit(parsed.error());
  const auto& line = *parsed;
  const auto folder_of = [&world](const std::string& given) {
    if (given.empty()) return world.working_directory;
    return given.starts_with('/') ? given : world.working_directory + "/" + given;
  };
  auto project_dir = folder_of(line.project_dir);
  const bool shipped = world.shipped && line.project_dir.empty() &&
                       !TRY(world.disk.info(project_dir + "/dbt_project.yml"));
  auto files = shipped ? Result<ProjectFiles>(*world.shipped)
                       : ProjectFiles::read_folder(world.disk, project_dir);
  if (!files) return usage_exit(files.error());
  if (shipped) project_dir = world.shipped_artifacts;

  Engine::Options options;
  options.profile = line.profile;
  options.target = line.target;
  options.target_path = shipped ? "target" : line.target_path;
  if (!shipped) options.environment = world.environment;
  options.artifacts_json = line.write_json;
  auto profiles_dir = line.profiles_dir;
  if (const auto found = options.environment.find("DBT_PROFILES_DIR");
      profiles_dir.empty() && found != options.environment.end())
    profiles_dir = found->second;
  if (!profiles_dir.empty()) {
    const auto path = folder_of(profiles_dir) + "/profiles.yml";
    auto yaml = io::read_file(world.disk, path);
    if (!yaml) return usage_exit(yaml.error());
    options.profiles_yaml = *std::move(yaml);
  }
  options.artifacts = [&](const std::string& path, std::string_view bytes) {
    return write_artifact(world.disk, path.starts_with('/') ? path : project_dir + "/" + path,
                          bytes);
  };
  const auto engine = TRY(
      Engine::open(*std::move(files), std::move(options), world.warehouse, world.clock, world.rng));
  const auto result = TRY(engine->invoke(line.invocation, world.out, std::move(stop)));
  return result.exit_code;
}

}  // namespace tapeline::transform
