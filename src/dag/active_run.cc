#include "dag/active_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace tapeline::dag {

ActiveRun ActiveRun::restore(state::RunRow row, const Dag& dag, std::vector<state::TryRow> tries,
                             const Clock& clock) {
  ActiveRun run{.row = std::move(row), .dag = &dag, .plan = dag.plan};
  for (state::TryRow& stored : tries) {
    run.tries[stored.task] = std::move(stored);  // the newest of a task comes last
  }
  std::map<std::string, TaskState> states;
  for (const auto& [name, newest] : run.tries) {
    const TaskState state = task_state(newest.state);
    if (has_ended(state) || state == TaskState::up_for_retry) states[name] = state;
    if (state == TaskState::success) {
      run.values[name] = text::parse_json(newest.value).value_or(text::Value());
    }
    // A task that its file no longer has cannot be tried again.
    if (state == TaskState::up_for_retry && dag.find(name)) {
      const Duration longest = std::max(dag.find(name)->retry_delay, kBackoffMax);
      const Duration left = newest.retry_at.value_or(clock.now()) - clock.now();
      run.retry_due[name] = clock.uptime() + std::clamp(left, Duration(0), longest);
    }
  }
  run.plan.restore(states);
  return run;
}

std::int64_t ActiveRun::tries_max(const Task& task) const {
  const auto newest = tries.find(task.name);
  if (newest != tries.end() && newest->second.tries_max > 0) return newest->second.tries_max;
  return task.report_only ? 1 : task.retries + 1;
}

void ActiveRun::set(const std::string& task, TaskState state, Timestamp at, state::Wave& wave) {
  const auto [found, is_new] = tries.try_emplace(task);
  state::TryRow& newest = found->second;
  if (is_new) newest = {.run = row.id, .task = task};
  if (!newest.end_at || !has_ended(task_state(newest.state))) newest.end_at = at;
  if (!newest.start_at) newest.start_at = at;
  newest.state = to_string(state);
  newest.retry_at.reset();
  live.erase(task);
  retry_due.erase(task);
  values.erase(task);
  if (state == TaskState::success) {
    values[task] = text::parse_json(newest.value).value_or(text::Value());
    newest.error_code.clear();
    newest.error_message.clear();
    newest.error_hint.clear();
  }
  wave.tries.push_back(newest);
  plan.set(task, state);
}

void ActiveRun::clear(const std::vector<std::string>& names, state::Wave& wave) {
  for (const std::string& name : names) {
    TL_ASSERT(!live.contains(name));
    values.erase(name);
    retry_due.erase(name);
    const auto newest = tries.find(name);
    if (newest == tries.end()) continue;
    const Task* task = dag->find(name);
    const std::int64_t done = newest->second.try_number;
    const bool waits = task_state(newest->second.state) == TaskState::none;
    state::TryRow next{.run = row.id, .task = name, .state = "none"};
    next.try_number = waits ? done : done + 1;
    const std::int64_t retries = task && !task->report_only ? task->retries : 0;
    next.tries_max = next.try_number + retries;
    wave.tries.push_back(next);
    newest->second = std::move(next);
  }
  plan.clear(names);
}

std::string ActiveRun::failure() const {
  for (const Task& task : dag->tasks) {
    if (plan.state(task.name) != TaskState::failed) continue;
    const std::string& why = tries.at(task.name).error_message;
    return fmt::format("{}: {}", task.name, why.empty() ? "marked failed" : why);
  }
  return "";
}

text::Value ActiveRun::params(const Task& task) const {
  text::Value merged = dag->params;
  const auto lay_over = [&](const text::Value& over) {
    for (const auto& [key, value] : over.as_object()) merged.set(key, value);
  };
  lay_over(task.params);
  if (const auto conf = text::parse_json(row.conf); conf && conf->is_object()) lay_over(*conf);
  return merged;
}

}  // namespace tapeline::dag
