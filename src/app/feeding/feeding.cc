#include "app/feeding/feeding.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/feeding/finnhub.h"
#include "app/feeding/followed_symbols.h"
#include "feeds/finnhub/key_lock.h"
#include "feeds/simulator/simulator.h"
#include "msglog/embedded/murmur2.h"
#include "msglog/rules.h"
#include "telemetry/logging.h"

namespace tapeline::app {
namespace {

constexpr Duration kStandby = std::chrono::milliseconds(200);

/// A feed of which only some symbols are wanted.
class PartOfFeed final : public feeds::Feed {
 public:
  PartOfFeed(std::unique_ptr<feeds::Feed> feed, std::function<bool(const Symbol&)> wanted)
      : feed_(std::move(feed)), wanted_(std::move(wanted)) {}

  std::string_view name() const override { return feed_->name(); }
  std::string_view data_source() const override { return feed_->data_source(); }
  feeds::FeedClass feed_class() const override { return feed_->feed_class(); }
  bool finished() const override { return feed_->finished(); }

  Result<feeds::FeedBatch> poll(std::size_t rows_max) override {
    feeds::FeedBatch batch = TRY(feed_->poll(rows_max));
    const auto keep = [&](auto& rows) {
      std::erase_if(rows, [&](const auto& row) { return !wanted_(row.symbol); });
    };
    keep(batch.quotes);
    keep(batch.trades);
    keep(batch.bars);
    keep(batch.raw);
    std::erase_if(batch.gaps,
                  [&](const feeds::Gap& gap) { return gap.symbol && !wanted_(*gap.symbol); });
    return batch;
  }

 private:
  const std::unique_ptr<feeds::Feed> feed_;
  const std::function<bool(const Symbol&)> wanted_;
};

Result<std::unique_ptr<feeds::Feed>> make_simulator(const Config& config, Clock& clock,
                                                    const std::vector<Symbol>& symbols,
                                                    const FeedGround& ground) {
  feeds::Simulator::Options options;
  options.rate = TRY(config.real("simulator.rate"));
  options.faults = TRY(feeds::parse_faults(config.list("simulator.faults")));
  options.symbols = symbols;
  options.start = TRY(parse_rfc3339(ground.start)).at;
  options.seed = std::strtoull(ground.seed.c_str(), nullptr, 10);
  const Config::Value& asked = config.value("simulator.seed");
  if (asked.origin != "default" && asked.text != ground.seed) {
    telemetry::log(telemetry::Level::warn, "seed of the data kept",
                   {{"seed", ground.seed}, {"asked", asked.text}});
  }
  auto simulator = TRY(feeds::Simulator::make(clock, options));
  simulator.resume(ground.last_event_times);
  return std::unique_ptr<feeds::Feed>(std::make_unique<feeds::Simulator>(std::move(simulator)));
}

}  // namespace

Feeding::Feeding(const Surroundings& surroundings, FeedHost& host, Options options)
    : its_(surroundings), host_(host), options_(std::move(options)) {}

Feeding::~Feeding() = default;

Result<std::unique_ptr<Feeding>> Feeding::make(const Surroundings& surroundings, FeedHost& host,
                                               Options options) {
  auto feeding = std::unique_ptr<Feeding>(new Feeding(surroundings, host, std::move(options)));
  const Config& config = surroundings.config;
  const std::string& feed = feeding->options_.feed;
  feeding->clock_ = TRY(debug_clock(surroundings.clock, config));
  feeding->configured_ = TRY(parse_symbols(config.list("symbols")));
  feeding->report_ = {.name = feed, .state = "standby"};
  feeding->member_ = {.group = feed, .name = feeding->options_.name, .exclusive = ""};
  if (feed == "finnhub") {
    // Two processes with one key would take turns at being cut off.
    feeding->member_.exclusive = feeds::finnhub::key_id(config.text("finnhub.api_key"));
  }
  if (feed == "simulator") {
    feeding->report_.faults = config.text("simulator.faults");
  }
  TRY_STATUS(feeding->check());
  if (feeding->options_.own_symbols) {
    for (const Symbol& symbol : feeding->configured_) {
      feeding->member_.group += fmt::format(" {}", symbol.text());
    }
  }
  return feeding;
}

/// Whether the configuration makes a feed; one that stands by finds out now, too.
Status Feeding::check() {
  if (options_.feed == "finnhub") return check_finnhub(its_.config);
  if (options_.feed != "simulator") return Ok{};
  const GroundRequest request = TRY(ground_request());
  TRY(make_simulator(its_.config, clock(), configured_,
                     {.start = request.start, .seed = request.seed}));
  return Ok{};
}

Result<GroundRequest> Feeding::ground_request() {
  const std::string& start = its_.config.text("simulator.start");
  const Timestamp first = start.empty() ? clock().now() : TRY(parse_rfc3339(start)).at;
  return GroundRequest{.feed = options_.feed,
                       .group = member_.group,
                       .now = clock().now(),
                       .start = format_rfc3339_micros(first),
                       .seed = fmt::format("{}", TRY(its_.config.integer("simulator.seed")))};
}

bool Feeding::is_ours(const Symbol& symbol) const {
  return share_.all() ||
         std::ranges::find(share_.partitions, msglog::partition_of(symbol.text(), share_.of)) !=
             share_.partitions.end();
}

Status Feeding::hand_on_carried() {
  auto& [records, gaps] = options_.carried;
  while (!gaps.empty()) {
    TRY_STATUS(host_.on_gap(gaps.front()));
    gaps.erase(gaps.begin());
  }
  while (!records.empty()) {
    const auto lot = std::min(records.size(), msglog::kRecordsMax);
    TRY(host_.log().append(std::string(kTopic), std::span(records).first(lot)));
    records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(lot));
  }
  return Ok{};
}

Status Feeding::flush() {
  TRY_STATUS(hand_on_carried());
  return producer_ ? producer_->flush() : Status(Ok{});
}

Feeding::Carried Feeding::take_carried() {
  Carried carried = std::exchange(options_.carried, {});
  if (!producer_) return carried;
  for (msglog::Record& record : producer_->take_pending()) {
    carried.records.push_back(std::move(record));
  }
  return carried;
}

Status Feeding::renew() {
  if (finnhub_) {
    const auto alive_at = report_.alive_at;
    take_state(finnhub_->state(), report_);
    // What the log has not taken is lost with this process: until then all was well.
    if (producer_ && !producer_->flushed()) report_.alive_at = alive_at;
  }
  FeedShare share = TRY(host_.renew(member_, report_));
  renew_at_ = its_.clock.uptime() + options_.renew_every;
  if (options_.feed == "replay") return Ok{};
  const bool changed = share.partitions != share_.partitions || share.of != share_.of;
  if (changed && producer_) {
    TRY_STATUS(producer_->flush());  // what it has polled nobody else has
    end();
  }
  share_ = std::move(share);
  return Ok{};
}

void Feeding::end() {
  producer_.reset();
  finnhub_ = nullptr;
  feed_.reset();
  report_.state = "standby";
  report_.symbols.clear();
  report_.alive_at.reset();
}

Result<std::unique_ptr<feeds::Feed>> Feeding::make_feed(const FeedGround& ground) {
  if (options_.feed == "replay") return std::move(options_.replay);
  if (options_.feed == "simulator") {
    auto simulator = TRY(make_simulator(its_.config, clock(), configured_, ground));
    if (share_.all()) return simulator;
    return std::unique_ptr<feeds::Feed>(std::make_unique<PartOfFeed>(
        std::move(simulator), [this](const Symbol& symbol) { return is_ours(symbol); }));
  }
  const auto wanted = [this] {
    std::vector<Symbol> symbols = options_.own_symbols ? configured_ : share_.followed;
    std::erase_if(symbols, [this](const Symbol& symbol) { return !is_ours(symbol); });
    return symbols;
  };
  auto finnhub = TRY(make_finnhub(
      {its_.config, its_.calendar, its_.files, its_.metrics, clock(), options_.lock_folder, wanted},
      ground));
  finnhub_ = finnhub.get();
  return std::unique_ptr<feeds::Feed>(std::move(finnhub));
}

Status Feeding::start() {
  FeedGround ground;
  if (options_.feed != "replay") {
    const GroundRequest request = TRY(ground_request());
    ground = TRY(host_.ground(request));
  }
  feed_ = TRY(make_feed(ground));
  if (!probe_) probe_ = std::make_unique<ingest::ProducerProbe>(its_.metrics, feed_->name());
  ingest::Producer::Options options{.topic = std::string(kTopic),
                                    .conditions = options_.conditions};
  if (finnhub_) options.stamps = ingest::StampRange::live;
  auto producer = std::make_unique<ingest::Producer>(clock(), its_.calendar, *feed_, host_.log(),
                                                     *probe_, wire::encode, options);
  producer->on_gap([this](const feeds::Gap& gap) {
    if (host_.on_gap(gap)) return;
    options_.carried.gaps.push_back(gap);
    renew_at_ = its_.clock.uptime();
  });
  if (finnhub_) {
    TRY_STATUS(host_.each_of_today(clock().now(), [&](const Quote& quote) {
      finnhub_->restore(quote);
      producer->restore(quote);
    }));
  }
  producer_ = std::move(producer);
  report_.feed_class = feeds::to_string(feed_->feed_class());
  report_.state = "live";
  if (options_.feed == "simulator") {
    for (const Symbol& symbol : configured_) {
      if (is_ours(symbol)) report_.symbols.emplace_back(symbol.text(), "simulator");
    }
  }
  return Ok{};
}

Status Feeding::begin() {
  TRY_STATUS(hand_on_carried());
  TRY_STATUS(renew());
  if (producer_ || (share_.partitions.empty() && options_.feed != "replay")) return Ok{};
  const Status started = start();
  if (!started) end();
  renew_at_ = its_.clock.uptime();  // how it is now is worth telling
  return started;
}

Result<Duration> Feeding::step() {
  // Told before all else: what follows may fail, and what the feed says of itself is wanted then
  // above all.
  if (!producer_ || its_.clock.uptime() >= renew_at_) TRY_STATUS(begin());
  if (!producer_) return kStandby;
  if (producer_->finished()) {
    if (report_.state == "live") {
      report_.state = "stopped";
      telemetry::log(telemetry::Level::info, "feed ended", {{"feed", report_.name}});
    }
    return Duration(std::chrono::seconds(1));
  }
  const auto step = TRY(producer_->step());
  report_.records += step.records;
  // Finnhub's feed waits for its sockets by itself.
  const Duration pause = finnhub_ ? std::chrono::microseconds(200) : std::chrono::milliseconds(5);
  return step.idle() ? pause : Duration(0);
}

}  // namespace tapeline::app
