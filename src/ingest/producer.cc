#include "ingest/producer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "ingest/raw_columns.h"
#include "msglog/rules.h"
#include "wire/message.h"

namespace tapeline::ingest {

ProducerProbe::ProducerProbe(telemetry::Metrics& metrics, std::string_view feed)
    : rows_received(metrics.counter("tapeline_ingest_rows_received_total",
                                    "Quotes, trades and bars that a feed gave.",
                                    {{"feed", std::string(feed)}})),
      trades_dropped(metrics.counter("tapeline_ingest_trades_dropped_total",
                                     "Trades dropped: suspicious prints and reports.",
                                     {{"feed", std::string(feed)}})),
      records_appended(metrics.counter("tapeline_ingest_records_appended_total",
                                       "Records that the message log took.",
                                       {{"feed", std::string(feed)}})),
      append_errors(metrics.counter("tapeline_ingest_append_errors_total",
                                    "Appends that the message log refused.",
                                    {{"feed", std::string(feed)}})),
      poll_errors(metrics.counter("tapeline_ingest_poll_errors_total",
                                  "Polls of a feed that failed.", {{"feed", std::string(feed)}})),
      gaps(metrics.counter("tapeline_ingest_gaps_total",
                           "Stretches of time that a feed did not deliver.",
                           {{"feed", std::string(feed)}})) {}

Producer::Producer(Clock& clock, const Calendar& calendar, feeds::Feed& feed,
                   msglog::RecordSink& log, ProducerProbe& probe, Encode encode, Options options)
    : clock_(clock),
      calendar_(calendar),
      feed_(feed),
      log_(log),
      probe_(probe),
      encode_(std::move(encode)),
      options_(std::move(options)),
      trades_(calendar, {.stamps = options_.stamps,
                         .conditions = options_.conditions,
                         .data_source = std::string(feed.data_source()),
                         .history = options_.history}),
      bars_(calendar,
            {.data_source = std::string(feed.data_source()), .history = options_.history}),
      to_skip_(options_.records_skipped) {}

Result<Producer::StepReport> Producer::step() {
  if (options_.aside) return step_with_aside();
  StepReport report;
  if (pending_.empty()) report.rows = TRY(poll(pending_));
  report.records = TRY(append());
  return report;
}

Status Producer::flush() {
  TRY(append());
  return Ok{};
}

std::vector<msglog::Record> Producer::take_pending() {
  auto left = std::exchange(pending_, {});
  left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(std::exchange(appended_, 0)));
  std::ranges::move(std::exchange(next_, {}), std::back_inserter(left));
  return left;
}

Result<Producer::StepReport> Producer::step_with_aside() {
  StepReport report;
  Result<std::int64_t> appended = 0;
  options_.aside->start([&] { appended = append(); });
  if (next_.empty() && !failure_ && !feed_.finished()) {
    const auto polled = poll(next_);
    if (polled) report.rows = *polled;
    if (!polled) failure_ = polled.error();
  }
  options_.aside->wait();
  report.records = TRY(std::move(appended));
  pending_.swap(next_);
  if (pending_.empty() && report.records == 0 && failure_) {
    return *std::exchange(failure_, std::nullopt);
  }
  return report;
}

Result<std::int64_t> Producer::poll(std::vector<msglog::Record>& into) {
  auto polled = feed_.poll(options_.rows_per_step);
  if (!polled) {
    probe_.poll_errors.add();
    return std::move(polled).error().while_doing(fmt::format("reading feed {}", feed_.name()));
  }
  feeds::FeedBatch& batch = *polled;
  const auto rows = std::ssize(batch.quotes) + std::ssize(batch.trades) + std::ssize(batch.bars) +
                    std::ssize(batch.raw);
  probe_.rows_received.add(rows);

  for (const feeds::Joined& joined : batch.joined) trades_.join(joined);
  std::vector<Quote> quotes;
  quotes.reserve(batch.bars.size() + batch.trades.size());
  for (const Bar& bar : batch.bars) quotes.push_back(bars_.add(bar));
  const auto dropped_before = trades_.counts().suspicious + trades_.counts().reports;
  for (const Trade& trade : batch.trades) TRY_STATUS(trades_.add(trade, quotes));
  if (batch.settled) TRY_STATUS(trades_.settle(*batch.settled, quotes));
  probe_.trades_dropped.add(trades_.counts().suspicious + trades_.counts().reports -
                            dropped_before);
  for (const feeds::DaySeed& seed : batch.seeds) trades_.seed(seed);
  if (options_.stamps == StampRange::live) TRY_STATUS(stamp_quotes(batch.quotes));
  for (const feeds::Gap& gap : batch.gaps) report(gap);

  into.reserve(quotes.size() + batch.quotes.size() + batch.raw.size());
  const Timestamp received_at = clock_.now();
  for (auto* list : {&quotes, &batch.quotes})
    for (Quote& quote : *list) {
      quote.received_at = received_at;
      into.push_back({std::string(quote.symbol.text()), encode_(quote)});
    }
  for (feeds::RawPayload& raw : batch.raw)
    into.push_back({std::string(raw.symbol.text()), std::move(raw.bytes)});
  const auto skipped = std::min(to_skip_, std::int64_t{std::ssize(into)});
  into.erase(into.begin(), into.begin() + skipped);
  to_skip_ -= skipped;
  return rows;
}

/// A vendor's own quotes share the stamps of those made of its trades, and its sessions.
Status Producer::stamp_quotes(std::vector<Quote>& quotes) {
  for (Quote& quote : quotes) {
    TRY_STATUS(trades_.stamp(quote));
    if (!quote.session) quote.session = derived_session(calendar_, wire::view_of(quote));
  }
  return Ok{};
}

void Producer::report(const feeds::Gap& gap) {
  if (!gap.healed_at) probe_.gaps.add();
  if (on_gap_) on_gap_(gap);
}

/// A live feed is not read while the log takes nothing: what the vendor does not keep is lost.
void Producer::note_refused() {
  if (refused_ || options_.stamps != StampRange::live) return;
  const Timestamp now = clock_.now();
  refused_ = feeds::Gap{
      .feed = std::string(feed_.name()), .begin = now, .end = now, .cause = "log_refused"};
  report(*refused_);
}

void Producer::note_taken() {
  if (!refused_) return;
  refused_->healed_at = clock_.now();
  refused_->end = std::max(refused_->begin, *refused_->healed_at);
  report(*refused_);
  refused_.reset();
}

Result<std::int64_t> Producer::append() {
  std::int64_t records = 0;
  while (appended_ < pending_.size()) {
    const auto count = std::min(msglog::kRecordsMax, pending_.size() - appended_);
    auto positions = log_.append(options_.topic, std::span(pending_).subspan(appended_, count));
    if (!positions) {
      probe_.append_errors.add();
      note_refused();
      return std::move(positions).error().while_doing(
          fmt::format("appending to {}", options_.topic));
    }
    note_taken();
    appended_ += count;
    records += static_cast<std::int64_t>(count);
    probe_.records_appended.add(static_cast<std::int64_t>(count));
  }
  pending_.clear();
  appended_ = 0;
  return records;
}

}  // namespace tapeline::ingest
