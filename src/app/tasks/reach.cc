#include "app/tasks/reach.h"

#include <algorithm>

#include "app/tasks/external_dbt.h"

namespace tapeline::app {
namespace {

Reach reach_of(const dag::Dag& dag, const dag::Task& task) {
  if (task.action == "transform") return Reach::models;
  if (task.action == "test") return Reach::tests;
  if (task.action != "dbt") return Reach::raw;
  const text::Value* args = task.params.find("args");
  const auto words = ExternalDbt::words_of(args ? args : dag.params.find("args"));
  return words && ExternalDbt{.words = *words}.tests() ? Reach::tests : Reach::models;
}

}  // namespace

Reach reach_of(const dag::Dag& dag) {
  Reach furthest = Reach::raw;
  for (const dag::Task& task : dag.tasks) furthest = std::max(furthest, reach_of(dag, task));
  return furthest;
}

}  // namespace tapeline::app
