#include "dag/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/check.h"

namespace tapeline::dag {
namespace {

constexpr std::array<std::string_view, 8> kStates = {
    "none", "queued", "running", "success", "failed", "up_for_retry", "upstream_failed", "skipped"};

constexpr std::array<std::string_view, 9> kOtherRules = {
    "all_failed", "one_failed",   "one_success",
    "one_done",   "none_skipped", "none_failed_min_one_success",
    "always",     "all_skipped",  "all_done_setup_success"};

}  // namespace

std::string_view to_string(TaskState state) { return kStates[static_cast<std::size_t>(state)]; }

TaskState task_state(std::string_view word) {
  const auto found = std::ranges::find(kStates, word);
  return found == kStates.end() ? TaskState::none : static_cast<TaskState>(found - kStates.begin());
}

bool has_ended(TaskState state) {
  return state == TaskState::success || state == TaskState::failed ||
         state == TaskState::upstream_failed || state == TaskState::skipped;
}

Result<TriggerRule> parse_trigger_rule(std::string_view word) {
  if (word == "all_success") return TriggerRule::all_success;
  if (word == "all_done") return TriggerRule::all_done;
  if (word == "none_failed") return TriggerRule::none_failed;
  const bool known = std::ranges::find(kOtherRules, word) != kOtherRules.end();
  return Error{known ? ErrorCode::unsupported : ErrorCode::invalid_argument,
               known ? fmt::format("the trigger rule '{}' is not supported", word)
                     : fmt::format("'{}' is no trigger rule", word),
               "Write all_success, all_done or none_failed."};
}

Result<Plan> Plan::make(const std::vector<PlanTask>& tasks) {
  Plan plan;
  if (tasks.empty()) return Error{ErrorCode::invalid_argument, "there is no task", ""};
  for (const PlanTask& task : tasks) {
    const auto [at, added] = plan.nodes_.try_emplace(task.name);
    if (!added) {
      return Error{ErrorCode::invalid_argument, fmt::format("two tasks are called '{}'", task.name),
                   ""};
    }
    at->second.rule = task.rule;
    at->second.upstream = task.upstream;
  }
  for (const auto& [name, node] : plan.nodes_) {
    for (const std::string& up : node.upstream) {
      if (!plan.nodes_.contains(up)) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("task '{}' waits for '{}', which is no task", name, up), ""};
      }
    }
  }
  // Takes away tasks that wait for nobody left, until none can be: what is left holds a cycle.
  std::map<std::string, std::vector<std::string>> left;
  for (const auto& [name, node] : plan.nodes_) left[name] = node.upstream;
  const auto free = [&](const auto& entry) {
    return std::ranges::none_of(entry.second,
                                [&](const std::string& up) { return left.contains(up); });
  };
  for (auto at = std::ranges::find_if(left, free); at != left.end();
       at = std::ranges::find_if(left, free)) {
    left.erase(at);
  }
  if (!left.empty()) {
    std::vector<std::string> path = {left.begin()->first};
    while (true) {
      const auto& upstream = left.at(path.back());
      const std::string next =
          *std::ranges::find_if(upstream, [&](const std::string& up) { return left.contains(up); });
      const auto seen = std::ranges::find(path, next) - path.begin();
      const bool round = seen < std::ssize(path);
      path.push_back(next);
      if (!round) continue;
      path.erase(path.begin(), path.begin() + seen);
      break;
    }
    return Error{ErrorCode::invalid_argument,
                 fmt::format("tasks wait for each other: {}", fmt::join(path, " <- ")),
                 "Take one of them out of another's 'upstream'."};
  }
  plan.settle();
  return plan;
}

std::optional<std::string> Plan::start_next() {
  for (auto& [name, node] : nodes_) {
    if (node.state != TaskState::queued) continue;
    node.state = TaskState::running;
    return name;
  }
  return std::nullopt;
}

void Plan::finish(const std::string& name, TaskState state) {
  Node& node = nodes_.at(name);
  TL_ASSERT(node.state == TaskState::running && has_ended(state));
  node.state = state;
  settle();
}

void Plan::retry_later(const std::string& name) {
  Node& node = nodes_.at(name);
  TL_ASSERT(node.state == TaskState::running);
  node.state = TaskState::up_for_retry;
}

void Plan::retry_now(const std::string& name) {
  Node& node = nodes_.at(name);
  TL_ASSERT(node.state == TaskState::up_for_retry);
  node.state = TaskState::queued;
}

void Plan::restore(const std::map<std::string, TaskState>& states) {
  for (const auto& [name, state] : states) {
    TL_ASSERT(has_ended(state) || state == TaskState::up_for_retry);
    if (const auto found = nodes_.find(name); found != nodes_.end()) found->second.state = state;
  }
  settle();  // once, so that nothing follows from a state that another is to replace
}

void Plan::set(const std::string& name, TaskState state) {
  TL_ASSERT(has_ended(state));
  nodes_.at(name).state = state;
  settle();
}

void Plan::clear(const std::vector<std::string>& names) {
  for (const std::string& name : names) nodes_.at(name).state = TaskState::none;
  settle();
}

std::vector<std::string> Plan::upstream_of(const std::string& name) const {
  std::set<std::string> found;
  std::vector<std::string> open = {name};
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    for (const std::string& up : nodes_.at(next).upstream) {
      if (found.insert(up).second) open.push_back(up);
    }
  }
  return {found.begin(), found.end()};
}

std::vector<std::string> Plan::downstream_of(const std::string& name) const {
  std::vector<std::string> found;
  for (const auto& [other, node] : nodes_) {
    if (std::ranges::count(upstream_of(other), name) > 0) found.push_back(other);
  }
  return found;
}

bool Plan::done() const {
  return std::ranges::all_of(nodes_, [](const auto& n) { return has_ended(n.second.state); });
}

bool Plan::failed() const {
  return std::ranges::any_of(nodes_, [](const auto& n) {
    return n.second.state == TaskState::failed || n.second.state == TaskState::upstream_failed;
  });
}

/// Gives every task that waits its state, as far as it follows from the others'.
void Plan::settle() {
  for (bool changed = true; changed;) {
    changed = false;
    for (auto& [name, node] : nodes_) {
      if (node.state != TaskState::none) continue;
      node.state = verdict(node);
      changed = changed || node.state != TaskState::none;
    }
  }
}

TaskState Plan::verdict(const Node& node) const {
  bool all_ended = true;
  bool any_failed = false;
  bool any_skipped = false;
  for (const std::string& up : node.upstream) {
    const TaskState state = nodes_.at(up).state;
    all_ended = all_ended && has_ended(state);
    any_failed = any_failed || state == TaskState::failed || state == TaskState::upstream_failed;
    any_skipped = any_skipped || state == TaskState::skipped;
  }
  if (node.rule != TriggerRule::all_done && any_failed) return TaskState::upstream_failed;
  if (node.rule == TriggerRule::all_success && any_skipped) return TaskState::skipped;
  return all_ended ? TaskState::queued : TaskState::none;
}

std::string_view to_string(TriggerRule rule) {
  switch (rule) {
    case TriggerRule::all_success:
      return "all_success";
    case TriggerRule::all_done:
      return "all_done";
    case TriggerRule::none_failed:
      return "none_failed";
  }
  return "all_success";
}

}  // namespace tapeline::dag
