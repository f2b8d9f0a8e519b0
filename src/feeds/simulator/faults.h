// Faults: what goes wrong at the simulated exchange, each with its probability.
//
// What becomes of a message follows from the seed, its symbol and its event time alone, so that a
// restart meets the same faults. History is never touched.

#pragma once

#include <chrono>
#include <span>
#include <string>

#include "base/result.h"

namespace tapeline::feeds {

/// units: probabilities, from 0 to 1
struct SimulatorFaults {
  double drop = 0;       // a message never comes
  double duplicate = 0;  // it comes twice
  double malformed = 0;  // half of it comes
  double reorder = 0;    // it comes behind the symbol's next one
  double zero = 0;       // its price is 0
  double spike = 0;      // its price is a quarter to three fifths off, for this one message
  double stall = 0;      // of ten seconds: nothing comes in them; then everything at once
  double halt = 0;       // of a symbol's five minutes: it is not traded in them, which is a gap
  double split = 0;      // of a symbol's midnight: a share becomes two, at half the price

  bool any() const;
};

constexpr std::chrono::seconds kStallLength(10);
constexpr std::chrono::minutes kHaltLength(5);

/// Reads "drop=0.01", "halt=0.1", …
/// errors: invalid_argument; the hint names the faults
Result<SimulatorFaults> parse_faults(std::span<const std::string> list);

/// errors: invalid_argument: a probability outside 0 to 1
Status check_faults(const SimulatorFaults& faults);

}  // namespace tapeline::feeds
