#include <fmt/format.h>

#include <filesystem>

#include "app/commands/commands.h"
#include "base/embedded_file.h"
#include "transform/command_line.h"

namespace tapeline::app {

ExitCode dbt_command(Pipeline& pipeline, const Call& call) {
  const auto parsed = transform::parse_command_line(call.line.words);
  if (!parsed) {
    call.terminal.error(parsed.error());
    return 2;
  }
  const transform::ConsoleSink out = [&](std::string_view line) {
    call.terminal.out(std::string(line) + "\n");
  };
  // A project that the caller names, or stands in, is taken instead of the shipped one.
  const std::string folder =
      parsed->project_dir.empty() ? call.folder : call.path(parsed->project_dir);
  const bool own = !parsed->project_dir.empty() ||
                   TRY(pipeline.files().info(folder + "/dbt_project.yml")).has_value();
  transform::Engine::Options options{.target = parsed->target, .target_path = "target"};
  options.artifacts_json = parsed->write_json;
  transform::ProjectFiles files(shipped_dbt());
  if (own) {
    files = TRY(transform::ProjectFiles::read_folder(pipeline.files(), folder));
    options.target_path = parsed->target_path;
  }
  const std::string artifacts = own ? folder : pipeline.directory().file("dbt");
  options.artifacts = [&](const std::string& path, std::string_view bytes) -> Status {
    const std::filesystem::path file = std::filesystem::path(artifacts) / path;
    TRY_STATUS(io::make_directories(pipeline.files(), file.parent_path().string()));
    return io::write_file_atomically(pipeline.files(), file.string(), bytes);
  };
  const auto result = pipeline.tasks().with_target([&]() -> Result<transform::InvocationResult> {
    Rng rng(static_cast<std::uint64_t>(pipeline.clock().now().time_since_epoch().count()));
    auto engine = TRY(transform::Engine::open(std::move(files), std::move(options),
                                              pipeline.warehouse(), pipeline.clock(), rng));
    return engine->invoke(parsed->invocation, out, call.stop);
  });
  if (!result) return result.error();
  return result->exit_code;
}

}  // namespace tapeline::app
