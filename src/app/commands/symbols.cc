#include "app/commands/commands.h"

namespace tapeline::app {

ExitCode symbols_command(Pipeline& pipeline, const Call& call) {
  const std::string_view name = call.line.command->name;
  if (name != "symbols list") {
    TRY_STATUS(pipeline.change_symbols(call.line.words, name == "symbols add"));
  }
  const text::Value followed = pipeline.followed();
  print_objects(call, followed.as_list());
  return 0;
}

}  // namespace tapeline::app
