#include "dag/task_runner.h"

#include <fmt/format.h>

#include "base/check.h"

namespace tapeline::dag {
namespace {

constexpr std::size_t kLinesMax = 10'000;
constexpr std::size_t kLineBytesMax = 4096;

}  // namespace

void TaskLog::line(std::string_view text) {
  const Timestamp now = clock_.now();
  state_.with([&](State& state) {
    if (state.lines.size() < kLinesMax - 1) {
      state.lines.push_back({now, std::string(text.substr(0, kLineBytesMax))});
      return;
    }
    ++state.dropped;
    Line last{now, fmt::format("{} more lines were dropped", state.dropped)};
    if (state.lines.size() == kLinesMax) state.lines.pop_back();
    state.lines.push_back(std::move(last));
  });
}

std::vector<TaskLog::Line> TaskLog::lines(std::size_t first) const {
  return state_.with([&](const State& state) {
    // The last place of a full log changes: it is handed out each time.
    if (state.dropped > 0) first = std::min(first, kLinesMax - 1);
    std::vector<Line> lines;
    for (std::size_t i = first; i < state.lines.size(); ++i) lines.push_back(state.lines[i]);
    return lines;
  });
}

std::optional<Timestamp> TaskLog::started() const {
  return state_.with([](const State& state) { return state.started; });
}

std::optional<Duration> TaskLog::started_uptime() const {
  return state_.with([](const State& state) {
    return state.started ? std::optional(state.started_uptime) : std::nullopt;
  });
}

void TaskLog::start() {
  state_.with([&](State& state) {
    state.started = clock_.now();
    state.started_uptime = clock_.uptime();
  });
}

TaskOutcome outcome_of(Result<TaskOutcome> result, TaskLog& log) {
  TaskOutcome outcome;
  if (result) {
    outcome = *std::move(result);
  } else {
    const Error& error = result.error();
    const bool hopeless =
        error.code == ErrorCode::invalid_argument || error.code == ErrorCode::unsupported;
    outcome = TaskOutcome::failed(error, !hopeless);
  }
  if (outcome.state == TaskOutcome::State::failed) {
    log.line(fmt::format("{}: {}", to_string(outcome.error.code), outcome.error.message));
    if (!outcome.error.hint.empty()) log.line(outcome.error.hint);
  }
  return outcome;
}

void Worker::step(std::stop_token stop) {
  if (auto work = queues_.work.pop(stop)) run(*std::move(work), stop);
}

bool Worker::try_step(std::stop_token stop) {
  auto work = queues_.work.try_pop();
  if (work) run(*std::move(work), std::move(stop));
  return work.has_value();
}

void Worker::run(TaskWork work, std::stop_token stop) {
  const bool called_off = work.stop.stop_requested();
  if (!called_off) work.log->start();
  const std::stop_callback process_ends(stop, [&work] { work.stop.request_stop(); });
  work.context.stop = work.stop.get_token();
  work.context.log = work.log.get();
  auto result = called_off ? Error{ErrorCode::cancelled, "called off before it began", ""}
                           : runner_.run(work.context);
  TaskEnd end{.run = work.run, .task = work.context.task};
  end.at = clock_.now();
  end.interrupted = !result && result.error().code == ErrorCode::cancelled && stop.stop_requested();
  end.outcome = outcome_of(std::move(result), *work.log);
  const bool taken = queues_.ends.push(std::move(end));
  TL_ASSERT(taken);
  queues_.changed.notify();
}

}  // namespace tapeline::dag
