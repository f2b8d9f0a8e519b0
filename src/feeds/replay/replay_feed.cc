#include "feeds/replay/replay_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "feeds/bar_stamp.h"

namespace tapeline::feeds {

Result<std::optional<double>> parse_speed(std::string_view text) {
  if (text == "max") return std::optional<double>();
  double speed = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), speed);
  const std::string_view rest = text.substr(static_cast<std::size_t>(read.ptr - text.data()));
  const bool in_range = speed >= 0.001 && speed <= 1e6;
  if (read.ec != std::errc() || (!rest.empty() && rest != "x") || !in_range)
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is not a speed", text),
                 "Write it like 1x, 60x (from 0.001x to 1000000x) or max."};
  return std::optional(speed);
}

Result<ReplayFeed> ReplayFeed::open(Clock& clock, const Calendar& calendar,
                                    const std::vector<InputFile>& files, Options options) {
  auto checked = TRY(check_files(files, options.rows));
  ReplayFeed feed(clock, calendar, options.speed);
  feed.notes_ = std::move(checked.notes);
  for (const auto& path : files) {
    auto rows = TRY(open_file_rows(path, checked.options));
    Playing file{std::move(rows), {}, {}, {}, {}};
    if (TRY(feed.advance(file))) feed.playing_.push_back(std::move(file));
  }
  return feed;
}

Result<bool> ReplayFeed::advance(Playing& file) const {
  if (file.rows.kind() == RowKind::trades) {
    if (!TRY(file.rows.next(file.trade))) return false;
    file.due = file.trade.event_time;
  } else if (file.rows.kind() == RowKind::quotes) {
    if (!TRY(file.rows.next(file.quote))) return false;
    file.quote.data_source = data_source();
    file.due = file.quote.event_time;
  } else {
    if (!TRY(file.rows.next(file.bar))) return false;
    file.due = bar_stamp(calendar_, file.bar.start, file.bar.length);
  }
  return true;
}

Timestamp ReplayFeed::played_to() const {
  if (!speed_) return Timestamp::max();
  const double played = static_cast<double>((clock_.uptime() - *begun_at_).count()) * *speed_;
  return first_due_ + std::chrono::microseconds(static_cast<std::int64_t>(played / 1000));
}

Result<FeedBatch> ReplayFeed::poll(std::size_t rows_max) {
  FeedBatch batch;
  if (failure_) {
    playing_.clear();
    return *std::exchange(failure_, std::nullopt);
  }
  const auto earlier = [](const Playing& a, const Playing& b) { return a.due < b.due; };
  if (!begun_at_ && !playing_.empty()) {
    begun_at_ = clock_.uptime();
    first_due_ = std::min_element(playing_.begin(), playing_.end(), earlier)->due;
  }
  const Timestamp now = begun_at_ ? played_to() : Timestamp::max();
  for (std::size_t rows = 0; rows < rows_max && !playing_.empty(); ++rows) {
    // The first of those that are equal: files keep their order.
    const auto next = std::min_element(playing_.begin(), playing_.end(), earlier);
    if (next->due > now) break;
    if (next->rows.kind() == RowKind::trades) {
      batch.trades.push_back(next->trade);
    } else if (next->rows.kind() == RowKind::quotes) {
      batch.quotes.push_back(next->quote);
    } else {
      batch.bars.push_back(next->bar);
    }
    const auto more = advance(*next);
    if (!more) {  // told once what came before is handed on
      failure_ = more.error();
      break;
    }
    if (!*more) playing_.erase(next);
  }
  // What is not due yet may share the millisecond that is being played.
  batch.settled =
      playing_.empty() || failure_
          ? Timestamp::max()
          : std::min(now, std::min_element(playing_.begin(), playing_.end(), earlier)->due);
  return batch;
}

}  // namespace tapeline::feeds
