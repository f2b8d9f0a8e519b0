#include "exchange.h"

#include "wire/message.h"

namespace tapeline::sim {
namespace {

using namespace std::chrono_literals;

const char* const kSymbols[] = {"A", "BB", "BRK.B"};

Price cents(std::uint64_t count) {
  return Price::from_units(static_cast<std::int64_t>(count) * (Price::kUnitsPerDollar / 100));
}

}  // namespace

Quote Exchange::quote() {
  Quote made;
  const auto choice = rng_.below(20);
  if (choice < 4 && !sent_.empty()) {
    made = sent_[rng_.below(sent_.size())];  // repeated as it is, or corrected
    if (choice == 0) made.price = cents(1 + rng_.below(20'000));
    if (choice == 1) made.volume = static_cast<std::int64_t>(rng_.below(50));
    return made;
  }
  made.symbol = *Symbol::parse(kSymbols[rng_.below(std::size(kSymbols))]);
  made.price = cents(1 + rng_.below(20'000));
  made.event_time = clock_.true_time() + std::chrono::microseconds(rng_.below(1000));
  made.data_source = "desk";
  if (rng_.below(3) != 0) made.volume = static_cast<std::int64_t>(rng_.below(1000));
  if (rng_.below(2) == 0) made.open = cents(rng_.below(20'000));
  if (rng_.below(2) == 0) made.high = cents(10'000 + rng_.below(10'000));
  if (rng_.below(2) == 0) made.low = cents(rng_.below(10'100));
  if (rng_.below(4) == 0) made.previous_close = cents(rng_.below(20'000));
  if (rng_.below(4) == 0) made.session = static_cast<Session>(rng_.below(4));
  switch (choice) {
    case 4:
    case 5:
      made.event_time -= std::chrono::seconds(rng_.below(20));
      break;
    case 6:
      made.event_time -= std::chrono::minutes(rng_.below(5 * 24 * 60));
      break;
    case 7:
      made.event_time += std::chrono::minutes(rng_.below(48 * 60));
      break;
    case 8:
      made.price = Price();
      break;
    case 9:
      made.volume = -5;
      break;
    case 10:
      made.event_time = std::chrono::floor<std::chrono::seconds>(made.event_time);
      break;
    default:
      break;
  }
  sent_.push_back(made);
  if (sent_.size() > kRemembered) sent_.pop_front();
  return made;
}

std::string Exchange::garbage() {
  std::string bytes;
  switch (rng_.below(6)) {
    case 0:
      bytes = "not json";
      break;
    case 1:
      bytes = wire::encode(quote());
      bytes.resize(bytes.size() / 2);
      break;
    case 2:
      bytes = R"({"symbol":"A","price":null,"timestamp":"2025-01-06T15:00:00Z"})";
      break;
    case 3:
      bytes = R"({"symbol":"no symbol","price":1,"timestamp":"2025-01-06T15:00:00Z"})";
      break;
    case 4:
      bytes = R"({"symbol":"A","price":1,"timestamp":"yesterday","data_source":"desk"})";
      break;
    default:
      bytes = "\xff\xfe" + std::to_string(rng_.below(1000));
      break;
  }
  model_.offer(bytes, std::nullopt);
  return bytes;
}

std::string Exchange::message(const Quote& quote) {
  std::string bytes = wire::encode(quote);
  model_.offer(bytes, quote);
  return bytes;
}

Result<feeds::FeedBatch> MisbehavingFeed::poll(std::size_t) {
  feeds::FeedBatch batch;
  if (stopped || --stalled_polls_ >= 0) return batch;
  switch (rng_.below(20)) {
    case 0:
      stalled_polls_ = static_cast<int>(rng_.below(10));
      return batch;
    case 1:
      return Error{ErrorCode::unavailable, "the exchange closed the connection", ""};
    case 2:
      batch.gaps.push_back({std::string(name()), std::nullopt, clock_.true_time() - 1s,
                            clock_.true_time(), "made up"});
      return batch;
    case 3:
      for (auto dropped = rng_.below(5); dropped > 0; --dropped) (void)exchange_.quote();
      return batch;
    default:
      break;
  }
  for (auto quotes = rng_.below(rng_.below(10) == 0 ? 40 : 6); quotes > 0; --quotes) {
    batch.quotes.push_back(exchange_.quote());
  }
  if (rng_.below(4) == 0) batch.raw.push_back({*Symbol::parse("A"), exchange_.garbage()});
  return batch;
}

Result<feeds::FeedBatch> ToldSimulator::poll(std::size_t rows_max) {
  if (stopped) return feeds::FeedBatch{};
  auto batch = simulator_.poll(rows_max);
  if (batch) {
    for (const auto& raw : batch->raw) model_.offer(raw.bytes, std::nullopt);
  }
  return batch;
}

}  // namespace tapeline::sim
