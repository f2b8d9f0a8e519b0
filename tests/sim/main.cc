// The simulation: plays seeds and says which of them found something.
//
//   sim [--tell] [--twice] [--steps N] [--folder FOLDER] SEED | FROM..TO
//
// A seed that finds something is printed with the command that plays it again. --twice plays each
// seed twice and compares everything that happened.

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <string_view>
#include <vector>

#include "play.h"
#include "telemetry/logging.h"

namespace {

using tapeline::sim::Outcome;
using tapeline::sim::Play;

struct Wanted {
  std::uint64_t from = 0;
  std::uint64_t to = 0;  // one past the last
  int steps = 150;
  bool tell = false;
  bool twice = false;
  std::filesystem::path folder;
};

bool read_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_words(const std::vector<std::string_view>& words, Wanted& wanted) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::uint64_t steps = 0;
    if (words[i] == "--tell") {
      wanted.tell = true;
    } else if (words[i] == "--twice") {
      wanted.twice = true;
    } else if (words[i] == "--folder" && i + 1 < words.size()) {
      wanted.folder = words[++i];
    } else if (words[i] == "--steps" && i + 1 < words.size() && read_number(words[++i], steps)) {
      wanted.steps = static_cast<int>(steps);
    } else if (const auto dots = words[i].find(".."); dots != std::string_view::npos) {
      if (!read_number(words[i].substr(0, dots), wanted.from)) return false;
      if (!read_number(words[i].substr(dots + 2), wanted.to)) return false;
    } else {
      if (!read_number(words[i], wanted.from)) return false;
      wanted.to = wanted.from + 1;
    }
  }
  return wanted.to > wanted.from;
}

}  // namespace

int main(int count, char** words) {
  Wanted wanted;
  // Memory, where there is such a place: no disk is asked to sync what is thrown away.
  const bool has_memory = std::filesystem::exists("/dev/shm");
  wanted.folder = has_memory ? "/dev/shm" : std::filesystem::temp_directory_path();
  if (!read_words({words + 1, words + count}, wanted)) {
    fmt::print(stderr,
               "usage: sim [--tell] [--twice] [--steps N] [--folder FOLDER] SEED | FROM..TO\n");
    return 2;
  }
  wanted.folder /= fmt::format("tapeline-sim-{}", ::getpid());
  tapeline::telemetry::set_log_sink([](auto, auto, const auto&) {});

  Outcome all;
  std::int64_t failed = 0;
  for (std::uint64_t seed = wanted.from; seed < wanted.to; ++seed) {
    const auto play = [&] {
      return Play({.seed = seed,
                   .folder = wanted.folder,
                   .steps = wanted.steps,
                   .tell = wanted.tell})
          .run();
    };
    Outcome outcome = play();
    if (wanted.twice && play().trace != outcome.trace) {
      outcome.problems.push_back("played twice, it went two ways");
    }
    all.trace ^= tapeline::mix64(outcome.trace + seed);
    all.steps += outcome.steps;
    all.records += outcome.records;
    all.loads += outcome.loads;
    all.runs += outcome.runs;
    all.crashes += outcome.crashes;
    if (outcome.problems.empty()) continue;
    ++failed;
    fmt::print("seed {} found something; {} --tell {} plays it again\n", seed, words[0], seed);
    for (const std::string& problem : outcome.problems) fmt::print("  {}\n", problem);
    std::fflush(stdout);
  }
  const auto seeds = static_cast<std::int64_t>(wanted.to - wanted.from);
  fmt::print(
      "seeds {}..{}: {} steps, {} crashes, {} records, {} loads, {} runs of models, trace "
      "{:016x}\n",
      wanted.from, wanted.to, all.steps, all.crashes, all.records, all.loads, all.runs, all.trace);
  fmt::print("{} passed, {} failed\n", seeds - failed, failed);
  return failed == 0 ? 0 : 1;
}
