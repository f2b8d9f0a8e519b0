// What can be asked of a scheduler.

#include "dag/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace tapeline::dag {

std::vector<DagInfo> Scheduler::dags() const {
  std::vector<DagInfo> dags;
  for (const Dag& dag : dags_) {
    DagInfo info{&dag, paused(dag.id), std::nullopt};
    if (dag.cron && !info.paused && options_.makes_runs)
      info.next_fire = dag.cron->next_fire(clock_.now());
    dags.push_back(info);
  }
  return dags;
}

Result<std::vector<state::RunRow>> Scheduler::runs(const std::string& dag,
                                                   std::int64_t limit) const {
  return store_.runs(dag, limit);
}

Result<state::RunRow> Scheduler::run(const std::string& dag, const std::string& run_id) const {
  auto found = TRY(store_.find(dag, run_id));
  if (found) return *std::move(found);
  return Error{ErrorCode::not_found, fmt::format("the DAG '{}' has no run '{}'", dag, run_id),
               fmt::format("`tapeline dag runs {}` shows them.", dag)};
}

Result<std::vector<state::TryRow>> Scheduler::tasks(const std::string& dag,
                                                    const std::string& run_id) const {
  const std::int64_t id = TRY(run(dag, run_id)).id;
  std::vector<state::TryRow> tries = TRY(store_.tries(id));
  shared_.with([&](const Shared& shared) {
    for (state::TryRow& row : tries) {
      const auto live = shared.live.find({row.run, row.task, row.try_number});
      if (live == shared.live.end() || row.state != "queued") continue;
      row.start_at = live->second.log->started();
      if (row.start_at) row.state = "running";
    }
  });
  const Dag* const known = find(dag);
  if (!known) return tries;
  std::vector<state::TryRow> ordered;
  for (const Task& task : known->tasks) {
    const auto before = ordered.size();
    std::ranges::copy_if(tries, std::back_inserter(ordered),
                         [&](const state::TryRow& row) { return row.task == task.name; });
    if (ordered.size() == before)
      ordered.push_back({.run = id, .task = task.name, .state = "none"});
  }
  std::ranges::copy_if(tries, std::back_inserter(ordered),
                       [&](const state::TryRow& row) { return !known->find(row.task); });
  return ordered;
}

Result<std::vector<state::LogRow>> Scheduler::task_log(const std::string& dag,
                                                       const std::string& run_id,
                                                       const std::string& task,
                                                       std::int64_t try_number) const {
  const std::int64_t id = TRY(run(dag, run_id)).id;
  std::vector<state::LogRow> rows = TRY(store_.log(id, task, try_number));
  const auto live = shared_.with([&](const Shared& shared) {
    const auto found = shared.live.find({id, task, try_number});
    return found == shared.live.end() ? LiveTry{} : found->second;
  });
  if (!live.log) return rows;
  // What the try has written so far, stored or not, after what an earlier process left.
  std::erase_if(rows, [&](const auto& row) { return row.number >= live.first_number; });
  for (const TaskLog::Line& line : live.log->lines()) {
    const auto number = rows.empty() ? 0 : rows.back().number + 1;
    rows.push_back({id, task, try_number, number, line.at, line.text});
  }
  return rows;
}

}  // namespace tapeline::dag
