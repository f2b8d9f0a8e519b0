#include "app/commands.h"

namespace tapeline::app {

ExitCode symbols_command(Pipeline& pipeline, const Call& call) {
  const std::string_view name = call.line.command->name;
  if (name != "symbols list") {
    TRY_STATUS(pipeline.change_symbols(call.line.words, name == "symbols add"));
  }
  std::vector<text::Value> rows;
  for (const auto& row : pipeline.followed().as_list()) rows.push_back(row);
  print_objects(call, rows);
  return 0;
}

}  // namespace tapeline::app
