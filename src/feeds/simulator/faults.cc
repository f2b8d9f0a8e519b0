#include "feeds/simulator/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace tapeline::feeds {
namespace {

struct Named {
  std::string_view name;
  double SimulatorFaults::*probability;
};
constexpr std::array kFaults = {Named{"drop", &SimulatorFaults::drop},
                                Named{"duplicate", &SimulatorFaults::duplicate},
                                Named{"malformed", &SimulatorFaults::malformed},
                                Named{"reorder", &SimulatorFaults::reorder},
                                Named{"zero", &SimulatorFaults::zero},
                                Named{"spike", &SimulatorFaults::spike},
                                Named{"stall", &SimulatorFaults::stall},
                                Named{"halt", &SimulatorFaults::halt},
                                Named{"split", &SimulatorFaults::split}};

bool is_probability(double number) { return number >= 0 && number <= 1; }

}  // namespace

bool SimulatorFaults::any() const {
  return std::ranges::any_of(kFaults, [&](const Named& f) { return this->*f.probability > 0; });
}

Result<SimulatorFaults> parse_faults(std::span<const std::string> list) {
  SimulatorFaults faults;
  for (const std::string& item : list) {
    const auto equals = std::min(item.find('='), item.size());
    const auto found = std::ranges::find(kFaults, item.substr(0, equals), &Named::name);
    double probability = -1;
    const char* end = item.data() + item.size();
    const auto read =
        std::from_chars(item.data() + std::min(equals + 1, item.size()), end, probability);
    if (found == kFaults.end() || read.ec != std::errc() || read.ptr != end ||
        !is_probability(probability)) {
      return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no fault", item),
                   "Write --faults drop=0.01,zero=0.001: drop, duplicate, malformed, reorder, "
                   "zero, spike, stall, halt or split, each with a probability from 0 to 1."};
    }
    faults.*(found->probability) = probability;
  }
  return faults;
}

Status check_faults(const SimulatorFaults& faults) {
  for (const Named& fault : kFaults) {
    if (is_probability(faults.*(fault.probability))) continue;
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("{} is not a probability of '{}'", faults.*(fault.probability), fault.name),
        "It goes from 0 to 1."};
  }
  return Ok{};
}

}  // namespace tapeline::feeds
