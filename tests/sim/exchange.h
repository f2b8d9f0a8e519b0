// Exchange: makes up what feeds and other producers send, good and bad, and tells the model what it
// means. MisbehavingFeed sends it as a feed that repeats, corrects, delays, drops, stalls and
// fails.

#pragma once

#include <deque>
#include <memory>
#include <string>

#include "base/rng.h"
#include "feeds/simulator/simulator.h"
#include "model.h"
#include "sim_clock.h"

namespace tapeline::sim {

class Exchange {
 public:
  Exchange(std::uint64_t seed, const SimClock& clock, Model& model)
      : rng_(seed), clock_(clock), model_(model) {}

  /// A quote: mostly a new one, else one that repeats, corrects, is late, early or wrong.
  Quote quote();

  /// Bytes that no quote can be read from.
  std::string garbage();

  /// A message as it stands in the log. The model knows it.
  std::string message(const Quote& quote);

 private:
  static constexpr std::size_t kRemembered = 100;

  Rng rng_;
  const SimClock& clock_;
  Model& model_;
  std::deque<Quote> sent_;  // the last few
};

class MisbehavingFeed final : public feeds::Feed {
 public:
  MisbehavingFeed(std::uint64_t seed, const SimClock& clock, Exchange& exchange)
      : rng_(seed), clock_(clock), exchange_(exchange) {}

  std::string_view name() const override { return "replay"; }
  std::string_view data_source() const override { return "desk"; }
  feeds::FeedClass feed_class() const override { return feeds::FeedClass::replay; }
  Result<feeds::FeedBatch> poll(std::size_t rows_max) override;
  bool finished() const override { return stopped; }

  bool stopped = false;

 private:
  Rng rng_;
  const SimClock& clock_;
  Exchange& exchange_;
  int stalled_polls_ = 0;
};

/// The simulated exchange, with its faults.
class ToldSimulator final : public feeds::Feed {
 public:
  ToldSimulator(feeds::Simulator simulator, Model& model)
      : simulator_(std::move(simulator)), model_(model) {}

  std::string_view name() const override { return simulator_.name(); }
  std::string_view data_source() const override { return simulator_.data_source(); }
  feeds::FeedClass feed_class() const override { return simulator_.feed_class(); }
  Result<feeds::FeedBatch> poll(std::size_t rows_max) override;
  bool finished() const override { return stopped; }

  bool stopped = false;

 private:
  feeds::Simulator simulator_;
  Model& model_;
};

}  // namespace tapeline::sim
