// Metrics: numbers that the program tells of itself, in Prometheus' text format.
//
// A room that acts has a probe: a struct with one field for each thing that can happen,
// filled from a Metrics. Only this room knows Prometheus. Names are
// tapeline_<room>_<noun>_<unit>[_total]; labels come from closed sets.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tapeline::telemetry {

using Labels = std::map<std::string, std::string>;

/// A number that only grows.
/// threads: any
class Counter {
 public:
  void add(std::int64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// A number that goes up and down.
/// threads: any
class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// How often values fell below each of its bounds.
/// threads: any
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);
  const std::vector<double>& bounds() const { return bounds_; }
  std::vector<std::uint64_t> counts()
      const;  // a bucket a bound, then those above all; not cumulative
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<std::uint64_t>> counts_;
  std::atomic<double> sum_{0};
};

/// Upper bounds for times from 0.1 ms to 60 s.
/// units: seconds
std::vector<double> latency_bounds();

/// Every metric of the process. What it hands out lives as long as it does.
/// threads: any
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// The same name and labels give the same metric.
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& histogram(const std::string& name, const std::string& help, std::vector<double> bounds,
                       const Labels& labels = {});

  /// Asked for its value when somebody looks, for what is known elsewhere already.
  void gauge_from(const std::string& name, const std::string& help, const Labels& labels,
                  std::function<double()> value);

  /// The Prometheus text format, version 0.0.4.
  std::string text() const;

  struct Family {
    std::string name;
    std::string type;  // counter, gauge, histogram
    std::string help;
  };
  /// Every family, by name: docs/metrics.md is checked against it.
  std::vector<Family> families() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tapeline::telemetry
