#include "app/commands/commands.h"
#include "base/embedded_file.h"
#include "transform/command_line.h"

namespace tapeline::app {

ExitCode dbt_command(Pipeline& pipeline, const Call& call) {
  if (const auto parsed = transform::parse_command_line(call.line.words); !parsed) {
    call.terminal.error(parsed.error());
    return 2;
  }
  const transform::ConsoleSink out = [&](std::string_view line) {
    call.terminal.out(std::string(line) + "\n");
  };
  // Inside a running `up` the environment is that of `up`, not the caller's.
  const Environment environment = read_environment();
  Rng rng(static_cast<std::uint64_t>(pipeline.clock().now().time_since_epoch().count()));
  const transform::CommandLineWorld world{.disk = pipeline.files(),
                                          .warehouse = pipeline.warehouse(),
                                          .clock = pipeline.clock(),
                                          .rng = rng,
                                          .environment = {environment.begin(), environment.end()},
                                          .working_directory = call.folder,
                                          .out = out,
                                          .shipped = transform::ProjectFiles(shipped_dbt()),
                                          .shipped_artifacts = pipeline.directory().file("dbt")};
  return pipeline.tasks().with_target(
      [&] { return transform::run_command_line(call.line.words, world, call.stop); });
}

}  // namespace tapeline::app
