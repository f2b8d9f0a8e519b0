// The only file that includes the Prometheus library.

#include "telemetry/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>

#include "base/guarded.h"

namespace tapeline::telemetry {

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::observe(double value) {
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<std::size_t>(at)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<std::uint64_t> Histogram::counts() const {
  std::vector<std::uint64_t> counts;
  for (const auto& count : counts_) counts.push_back(count.load(std::memory_order_relaxed));
  return counts;
}

std::vector<double> latency_bounds() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
          0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};
}

namespace {

struct Series {
  Labels labels;
  std::unique_ptr<Counter> counter;
  std::unique_ptr<Gauge> gauge;
  std::unique_ptr<Histogram> histogram;
  std::function<double()> asked;
};

struct FamilyState {
  std::string help;
  prometheus::MetricType type = prometheus::MetricType::Untyped;
  std::vector<std::unique_ptr<Series>> series;
};

using FamiliesByName = std::map<std::string, FamilyState>;

Series& series_of(FamiliesByName& families, const std::string& name, const std::string& help,
                  prometheus::MetricType type, const Labels& labels) {
  FamilyState& family = families[name];
  family.help = help;
  family.type = type;
  for (const auto& series : family.series) {
    if (series->labels == labels) return *series;
  }
  family.series.push_back(std::make_unique<Series>());
  family.series.back()->labels = labels;
  return *family.series.back();
}

prometheus::ClientMetric read(const Series& series) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : series.labels) metric.label.push_back({name, value});
  if (series.counter) metric.counter.value = static_cast<double>(series.counter->value());
  if (series.gauge) metric.gauge.value = series.gauge->value();
  if (series.asked) metric.gauge.value = series.asked();
  if (series.histogram) {
    std::uint64_t below = 0;
    const auto counts = series.histogram->counts();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      below += counts[i];
      const bool last = i == series.histogram->bounds().size();
      metric.histogram.bucket.push_back(
          {below, last ? std::numeric_limits<double>::infinity() : series.histogram->bounds()[i]});
    }
    metric.histogram.sample_count = below;
    metric.histogram.sample_sum = series.histogram->sum();
  }
  return metric;
}

}  // namespace

struct Metrics::State {
  Guarded<FamiliesByName> families;
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  return state_->families.with([&](FamiliesByName& families) -> Counter& {
    Series& series = series_of(families, name, help, prometheus::MetricType::Counter, labels);
    if (!series.counter) series.counter = std::make_unique<Counter>();
    return *series.counter;
  });
}

Gauge& Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  return state_->families.with([&](FamiliesByName& families) -> Gauge& {
    Series& series = series_of(families, name, help, prometheus::MetricType::Gauge, labels);
    if (!series.gauge) series.gauge = std::make_unique<Gauge>();
    return *series.gauge;
  });
}

Histogram& Metrics::histogram(const std::string& name, const std::string& help,
                              std::vector<double> bounds, const Labels& labels) {
  return state_->families.with([&](FamiliesByName& families) -> Histogram& {
    Series& series = series_of(families, name, help, prometheus::MetricType::Histogram, labels);
    if (!series.histogram) series.histogram = std::make_unique<Histogram>(std::move(bounds));
    return *series.histogram;
  });
}

void Metrics::gauge_from(const std::string& name, const std::string& help, const Labels& labels,
                         std::function<double()> value) {
  state_->families.with([&](FamiliesByName& families) {
    series_of(families, name, help, prometheus::MetricType::Gauge, labels).asked = std::move(value);
  });
}

std::string Metrics::text() const {
  std::vector<prometheus::MetricFamily> out;
  state_->families.with([&](const FamiliesByName& families) {
    for (const auto& [name, family] : families) {
      prometheus::MetricFamily& made = out.emplace_back();
      made.name = name;
      made.help = family.help;
      made.type = family.type;
      for (const auto& series : family.series) made.metric.push_back(read(*series));
    }
  });
  return prometheus::TextSerializer().Serialize(out);
}

std::vector<Metrics::Family> Metrics::families() const {
  return state_->families.with([](const FamiliesByName& families) {
    std::vector<Family> out;
    for (const auto& [name, family] : families) {
      const std::string type = family.type == prometheus::MetricType::Counter ? "counter"
                               : family.type == prometheus::MetricType::Gauge ? "gauge"
                                                                              : "histogram";
      out.push_back({name, type, family.help});
    }
    return out;
  });
}

}  // namespace tapeline::telemetry
