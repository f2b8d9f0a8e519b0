#include "transform/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "transform/artifacts.h"
#include "transform/parser.h"
#include "transform/report.h"
#include "transform/selector.h"

namespace tapeline::transform {
namespace {

std::string random_uuid(Rng& rng) {
  const auto high = rng.next(), low = rng.next();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xfff, 0x8000 | ((low >> 48) & 0x3fff), low & 0xffff'ffff'ffff);
}

/// A failure of the project that ends the invocation: printed, exit code 2.
struct Ended {
  std::string message;
};

bool runs_nodes(const std::string& command) {
  return command == "run" || command == "test" || command == "build";
}

}  // namespace

struct Engine::State {
  ProjectFiles files;
  Options options;
  warehouse::Warehouse& warehouse;
  Clock& clock;
  Rng& rng;

  // What the last parse was made of, so that it is done again only when that changes.
  std::optional<ParseOutput> parsed = std::nullopt;
  std::map<std::string, text::Value> parsed_vars = {};
  Project project = {};
  Profile profile = {};
  std::map<std::string, jinja::Template> templates = {};

  Result<InvocationResult> invoke(const Invocation& invocation, warehouse::Connection& connection,
                                  const ConsoleSink& sink, std::stop_token stop);

 private:
  Status load(const Invocation& invocation);
  Status parse(const Invocation& invocation);
  Status learn_database(warehouse::Connection& connection);
  Result<InvocationResult> run_command(const Invocation& invocation, World& world,
                                       const Console& console, std::stop_token stop);
  Result<std::set<std::string>> selected_for(const Invocation& invocation, World& world,
                                             const Console& console);
  InvocationResult list(const Invocation& invocation, const World& world,
                        const std::set<std::string>& selected, const Console& console) const;
  Status write_artifacts(const Invocation& invocation, const World& world,
                         const std::vector<NodeResult>* results, Duration elapsed) const;
};

Status Engine::State::load(const Invocation& invocation) {
  const auto context = yaml_context(options.environment, invocation.vars, {});
  project = TRY(load_project(files, *context));
  if (!options.target_path.empty()) project.target_path = options.target_path;
  if (!options.profile.empty()) project.profile = options.profile;
  const auto* profiles = files.find("profiles.yml");
  const std::string& yaml =
      !options.profiles_yaml.empty() || profiles == nullptr ? options.profiles_yaml : *profiles;
  if (yaml.empty())
    return Error{ErrorCode::invalid_argument,
                 fmt::format("Could not find profile named '{}'", project.profile),
                 "Put a profiles.yml beside dbt_project.yml, or give its folder with "
                 "--profiles-dir."};
  profile = TRY(load_profile(yaml, project.profile, options.target, *context));
  return Ok{};
}

Status Engine::State::learn_database(warehouse::Connection& connection) {
  const auto rows = TRY(connection.query("select current_database()"));
  if (!rows.rows.empty() && !rows.rows[0].empty())
    profile.target.set("database", warehouse::to_text(rows.rows[0][0]));
  return Ok{};
}

Status Engine::State::parse(const Invocation& invocation) {
  parsed.reset();
  ParseInput input{files, project, profile, options.environment, clock, invocation.vars};
  parsed = TRY(parse_project(input));
  parsed_vars.clear();
  templates.clear();
  for (const auto& name : parsed->vars_read)
    if (const auto* value = invocation.vars.find(name)) parsed_vars.emplace(name, *value);
  return Ok{};
}

Result<InvocationResult> Engine::State::invoke(const Invocation& invocation,
                                               warehouse::Connection& connection,
                                               const ConsoleSink& sink, std::stop_token stop) {
  const Console console(clock, sink, invocation.quiet || invocation.command == "ls");
  const auto started_at = clock.now();
  if (invocation.command != "ls") console.info("Running with tapeline");
  const auto ended = [&](const Error& error) {
    console.error("Encountered an error:");
    console.raw(error.message + (error.hint.empty() ? "" : "\n  " + error.hint));
    return InvocationResult{.exit_code = 2, .nodes = {}};
  };
  const bool known = parsed.has_value() && [&] {
    for (const auto& name : parsed->vars_read) {
      if (invocation.late_vars.contains(name)) continue;
      const auto* now = invocation.vars.find(name);
      const auto then = parsed_vars.find(name);
      if ((now == nullptr) != (then == parsed_vars.end())) return false;
      if (now != nullptr && !(*now == then->second)) return false;
    }
    return true;
  }();
  if (!known) {
    if (const auto loaded = load(invocation); !loaded) return ended(loaded.error());
    TRY_STATUS(learn_database(connection));
    if (const auto done = parse(invocation); !done) return ended(done.error());
  }
  Session session(connection, stop);
  World world{.manifest = *parsed->manifest,
              .profile = profile,
              .environment = options.environment,
              .clock = clock,
              .vars = invocation.vars};
  world.flags = {invocation.command, invocation.full_refresh, invocation.store_failures,
                 invocation.fail_fast, invocation.quiet};
  world.invocation_id = random_uuid(rng);
  world.run_started_at = started_at;
  world.session = &session;
  world.log = [&](const std::string& text) { console.info(text); };
  world.print = [&](const std::string& text) { console.raw(text); };
  world.warn = [&](const std::string& text) { console.error("[WARNING]: " + text); };
  world.templates.swap(templates);
  if (options.artifacts)
    world.write = [this](const Node& node, const std::string& sql) {
      return options.artifacts(artifact_path(project, "run", node), sql);
    };
  auto result = run_command(invocation, world, console, std::move(stop));
  session.rollback();
  templates.swap(world.templates);
  if (!result && result.error().code != ErrorCode::cancelled &&
      result.error().code != ErrorCode::unavailable)
    return ended(result.error());
  return result;
}

Result<std::set<std::string>> Engine::State::selected_for(const Invocation& invocation,
                                                          World& world, const Console& console) {
  auto selection = TRY(select_nodes(world.manifest, invocation.select, invocation.exclude,
                                    invocation.indirect_selection));
  for (const auto& criterion : selection.unmatched)
    console.info(
        fmt::format("The selection criterion '{}' does not match any enabled nodes", criterion));
  const auto& command = invocation.command;
  std::erase_if(selection.ids, [&](const std::string& id) {
    const auto kind = world.manifest.find(id)->kind;
    if (!invocation.resource_types.empty()) {
      const auto& types = invocation.resource_types;
      if (std::ranges::find(types, "all") == types.end() &&
          std::ranges::find(types, to_string(kind)) == types.end())
        return true;
    }
    if (command == "run") return kind != NodeKind::model;
    if (command == "test") return kind != NodeKind::test;
    if (command == "ls") return false;
    return kind != NodeKind::model && kind != NodeKind::test;
  });
  world.selected.assign(selection.ids.begin(), selection.ids.end());
  return std::move(selection.ids);
}

Result<InvocationResult> Engine::State::run_command(const Invocation& invocation, World& world,
                                                    const Console& console, std::stop_token stop) {
  const auto started = clock.uptime();
  for (const auto& warning : world.manifest.warnings) console.error("[WARNING]: " + warning);
  const auto& command = invocation.command;
  if (command == "debug") {
    report_debug(console, world);
    return InvocationResult{};
  }
  if (command == "parse") {
    TRY_STATUS(write_artifacts(invocation, world, nullptr, Duration{0}));
    return InvocationResult{};
  }
  if (!runs_nodes(command) && command != "compile" && command != "ls")
    return Error{ErrorCode::unsupported, fmt::format("the command '{}' is not there yet", command),
                 "run, test, build, compile, parse, ls and debug are."};
  if (command != "ls") report_found(console, world.manifest);
  const auto selected = TRY(selected_for(invocation, world, console));
  if (command == "ls") {
    TRY_STATUS(write_artifacts(invocation, world, nullptr, Duration{0}));
    return list(invocation, world, selected, console);
  }
  InvocationResult result;
  if (selected.empty()) {
    console.info("Nothing to do. Try checking your model configs and model specification args");
  } else {
    report_concurrency(console, world.profile);
    Runner runner(world, console, options.artifacts, std::move(stop));
    if (command == "compile") {
      result.nodes = TRY(runner.compile(selected));
      report_compiled(console, world.manifest, invocation, result.nodes);
    } else {
      result.nodes = TRY(runner.run(selected, command != "test"));
      report_end(console, world.manifest, result.nodes, clock.uptime() - started);
    }
  }
  result.exit_code = exit_code_of(result.nodes);
  TRY_STATUS(write_artifacts(invocation, world, &result.nodes, clock.uptime() - started));
  return result;
}

InvocationResult Engine::State::list(const Invocation& invocation, const World& world,
                                     const std::set<std::string>& selected,
                                     const Console& console) const {
  if (selected.empty()) console.error("No nodes selected!");
  std::vector<std::string> lines;
  for (const auto& id : selected)
    lines.push_back(listed(*world.manifest.find(id), invocation.output));
  for (const auto& line : lines) console.raw(line);
  return {};
}

Status Engine::State::write_artifacts(const Invocation& invocation, const World& world,
                                      const std::vector<NodeResult>* results,
                                      Duration elapsed) const {
  if (!options.artifacts || !options.artifacts_json) return Ok{};
  const auto& folder = project.target_path;
  TRY_STATUS(options.artifacts(folder + "/manifest.json", text::to_json(manifest_artifact(world))));
  if (results == nullptr) return Ok{};
  return options.artifacts(
      folder + "/run_results.json",
      text::to_json(run_results_artifact(world, *results, invocation, elapsed)));
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::open(ProjectFiles files, Options options,
                                             warehouse::Warehouse& warehouse, Clock& clock,
                                             Rng& rng) {
  if (warehouse.dialect() != "duckdb")
    return Error{ErrorCode::unsupported,
                 fmt::format("dbt on '{}' is not there yet", warehouse.dialect()),
                 "Run the project with dbt itself."};
  auto state = std::unique_ptr<State>(
      new State{std::move(files), std::move(options), warehouse, clock, rng});
  return std::unique_ptr<Engine>(new Engine(std::move(state)));
}

void Engine::set_files(ProjectFiles files) {
  if (files == state_->files) return;
  state_->files = std::move(files);
  state_->parsed.reset();
}

Result<InvocationResult> Engine::invoke(const Invocation& invocation, const ConsoleSink& sink,
                                        std::stop_token stop) {
  const auto connection = TRY(state_->warehouse.connect());
  return state_->invoke(invocation, *connection, sink, std::move(stop));
}

Result<InvocationResult> Engine::invoke(const Invocation& invocation,
                                        warehouse::Connection& connection, const ConsoleSink& sink,
                                        std::stop_token stop) {
  return state_->invoke(invocation, connection, sink, std::move(stop));
}

}  // namespace tapeline::transform
