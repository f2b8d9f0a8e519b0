#include "ingest/loader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "ingest/late_rows.h"
#include "ingest/raw_columns.h"

namespace tapeline::ingest {

using msglog::Offset;
using warehouse::ColumnBatch;
using warehouse::sql_text;
using wire::QuoteView;

LoadCounts& LoadCounts::operator+=(const LoadCounts& other) {
  consumed += other.consumed;
  loaded += other.loaded;
  duplicate += other.duplicate;
  superseded += other.superseded;
  dead += other.dead;
  return *this;
}

LoaderProbe::LoaderProbe(telemetry::Metrics& metrics)
    : loaded(metrics.counter("tapeline_ingest_messages_total",
                             "Messages of the topic by what became of them.",
                             {{"outcome", "loaded"}})),
      duplicate(metrics.counter("tapeline_ingest_messages_total",
                                "Messages of the topic by what became of them.",
                                {{"outcome", "duplicate"}})),
      superseded(metrics.counter("tapeline_ingest_messages_total",
                                 "Messages of the topic by what became of them.",
                                 {{"outcome", "superseded"}})),
      dead(metrics.counter("tapeline_ingest_messages_total",
                           "Messages of the topic by what became of them.", {{"outcome", "dead"}})),
      zone_assumed(metrics.counter("tapeline_ingest_repairs_total",
                                   "Messages loaded otherwise than written.",
                                   {{"repair", "zone_assumed"}})),
      price_rounded(metrics.counter("tapeline_ingest_repairs_total",
                                    "Messages loaded otherwise than written.",
                                    {{"repair", "price_rounded"}})),
      volume_unknown(metrics.counter("tapeline_ingest_repairs_total",
                                     "Messages loaded otherwise than written.",
                                     {{"repair", "volume_unknown"}})),
      field_dropped(metrics.counter("tapeline_ingest_repairs_total",
                                    "Messages loaded otherwise than written.",
                                    {{"repair", "field_dropped"}})),
      rows_looked_up(metrics.counter("tapeline_ingest_rows_looked_up_total",
                                     "Rows at or below their symbol's newest, looked up in raw.")),
      load_seconds(metrics.histogram("tapeline_ingest_load_seconds",
                                     "Time of one load, read to commit.",
                                     telemetry::latency_bounds())) {}

std::string fingerprint(const msglog::RecordView& record) {
  return fmt::format("{}-{}-{:08x}", record.appended_at.time_since_epoch().count(),
                     record.value.size(), crc32c(record.value, crc32c(record.key)));
}

namespace {

constexpr Offset kSliceRows = 16'384;               // decoded and appended together
constexpr auto kMarksReach = std::chrono::days(1);  // which marks a start reads

}  // namespace

/// Some records, and what they say.
struct Loader::Slice {
  /// A record that has no row.
  struct Dead {
    const msglog::RecordView* record;
    wire::DeadLetter letter;
  };

  wire::Decoder decoder;
  wire::Repairs repairs_told;
  msglog::FetchedRecords fetched;
  RawColumns rows{kSliceRows};  // those that are new for sure
  std::vector<Dead> dead;

  explicit Slice(wire::DirectoryKind kind) : decoder(kind) {}

  void clear() {
    dead.clear();
    fetched = {};
    decoder.forget();
  }
};

/// One load in the making.
struct Loader::Batch {
  Offset first = 0;
  Offset next = 0;  // to be read
  std::int64_t load_id = 0;
  std::string last_fingerprint;
  LoadCounts counts;
  LateRows late;  // at or below their symbols' marks, which their symbols look into
};

Loader::Loader(const Clock& clock, msglog::MessageLog& log, warehouse::Connection& connection,
               const Calendar& calendar, LoaderProbe& probe, Aside& aside, Options options)
    : clock_(clock),
      log_(log),
      connection_(connection),
      calendar_(calendar),
      probe_(probe),
      aside_(aside),
      options_(std::move(options)) {
  for (auto& slice : slices_) slice = std::make_unique<Slice>(options_.kind);
}

Loader::~Loader() = default;

Result<std::optional<Offset>> Loader::next_offset(const std::string& topic_id,
                                                  std::int32_t partition) {
  const auto found = TRY(connection_.query(
      fmt::format("select next_offset from raw_stocks.consumer_offsets where consumer_group = {} "
                  "and topic_id = {} and topic_partition = {}",
                  sql_text(options_.group), sql_text(topic_id), partition)));
  if (found.rows.empty()) return std::optional<Offset>();
  return std::optional<Offset>(warehouse::to_integer(found.rows[0][0]));
}

Result<LoadCounts> Loader::stored_counts(const OffsetRange& range) {
  const auto found = TRY(connection_.query(
      fmt::format("select sum(consumed), sum(loaded), sum(duplicate), sum(superseded), sum(dead) "
                  "from raw_stocks.loads where topic_id = {} and topic_partition = {} and "
                  "first_offset >= {} and next_offset <= {}",
                  sql_text(range.topic_id), range.partition.partition, range.first, range.next)));
  const auto& row = found.rows.at(0);
  return LoadCounts{warehouse::to_integer(row[0]), warehouse::to_integer(row[1]),
                    warehouse::to_integer(row[2]), warehouse::to_integer(row[3]),
                    warehouse::to_integer(row[4])};
}

/// Where nothing was loaded yet: no record that the log still has may be left out.
Result<Offset> Loader::first_to_load(const OffsetRange& range) {
  for (const auto& topic : TRY(log_.topics())) {
    if (topic.id != range.topic_id) continue;
    const auto partition = static_cast<std::size_t>(range.partition.partition);
    if (partition < topic.partitions.size()) {
      return std::min(range.first, topic.partitions[partition].earliest);
    }
  }
  return range.first;
}

Result<LoadCounts> Loader::load(const OffsetRange& range, const std::string& run_id,
                                std::stop_token stop) {
  const auto stored = TRY(next_offset(range.topic_id, range.partition.partition));
  Offset next = stored ? *stored : TRY(first_to_load(range));
  if (next < range.first) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("the range begins at offset {}, but {} is the next one to load",
                             range.first, next),
                 "Messages between them would be lost; trigger the DAG again."};
  }
  while (next < range.next) {
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, "the load was stopped", ""};
    OffsetRange rest = range;
    rest.first = next;
    rest.next = std::min(range.next, next + options_.records_per_load);
    const Duration began = clock_.uptime();
    const auto counts = load_once(rest, run_id);
    if (!counts) {
      (void)connection_.execute("rollback");
      marks_.reset();
      return Error(counts.error())
          .while_doing(fmt::format("loading '{}' from offset {}", range.partition.topic, next));
    }
    probe_.load_seconds.observe(std::chrono::duration<double>(clock_.uptime() - began).count());
    next = rest.next;
  }
  return stored_counts(range);
}

Result<LoadCounts> Loader::load_once(const OffsetRange& range, const std::string& run_id) {
  Batch batch{.first = range.first, .next = range.first};
  TRY_STATUS(connection_.execute("begin transaction"));
  // Updating the one-row counter first makes loads commit one after another: the second of
  // two loaders fails here.
  const auto moved = TRY(connection_.query(
      "update raw_stocks.load_counter set last_load_id = last_load_id + 1 returning "
      "last_load_id"));
  batch.load_id = warehouse::to_integer(moved.rows.at(0).at(0));
  // Another loader or a cut of retention took a number: marks and cut are not what they were.
  if (batch.load_id != next_load_id_ || marks_wanted_) marks_.reset();
  TRY_STATUS(read_marks());
  TRY_STATUS(load_slices(range, batch));
  const auto late = TRY(batch.late.settle(connection_, slices_[0]->rows, batch.load_id));
  probe_.rows_looked_up.add(late.looked_up);
  LoadCounts& counts = batch.counts;
  counts.duplicate = late.duplicate;
  counts.superseded = late.superseded;
  counts.loaded = counts.consumed - counts.dead - counts.duplicate - counts.superseded;
  TL_ASSERT(counts.balances());
  TRY_STATUS(write_counts(range, run_id, batch));
  TRY_STATUS(connection_.execute("commit"));
  next_load_id_ = batch.load_id + 1;
  tell(batch.counts);
  return batch.counts;
}

/// Each slice is read aside while the one before is appended: DuckDB takes longer to append rows
/// than they take to be read.
Status Loader::load_slices(const OffsetRange& range, Batch& batch) {
  for (auto& slice : slices_) slice->clear();
  Slice* now = slices_[0].get();
  Slice* next = slices_[1].get();
  TRY_STATUS(read(range, batch, *now));
  for (bool more = true; more; std::swap(now, next)) {
    Status was_read = Ok{};
    more = batch.next < range.next;
    if (more) aside_.start([&] { was_read = read(range, batch, *next); });
    Status appended = append(range, batch, *now);
    if (more) aside_.wait();
    TRY_STATUS(std::move(appended));
    TRY_STATUS(std::move(was_read));
  }
  return Ok{};
}

/// Fetches some records and decodes them. Rows that raw may have already are set aside in the
/// batch.
Status Loader::read(const OffsetRange& range, Batch& batch, Slice& slice) {
  slice.fetched = TRY(log_.fetch(range.partition, batch.next,
                                 {.records_max = std::min(range.next - batch.next, kSliceRows)}));
  if (slice.fetched.next <= batch.next) {
    return Error{ErrorCode::corrupt,
                 fmt::format("the log ends at offset {}, before the range does at {}", batch.next,
                             range.next),
                 "Run `tapeline topic verify`."};
  }
  // Offsets may skip, so that the last of them can lie beyond the range.
  auto& records = slice.fetched.records;
  while (!records.empty() && records.back().offset >= range.next) records.pop_back();
  for (const msglog::RecordView& record : records) {
    ++batch.counts.consumed;
    QuoteView row;
    if (auto letter = slice.decoder.decode(record.value, record.appended_at, row)) {
      ++batch.counts.dead;
      slice.dead.push_back({&record, *std::move(letter)});
      continue;
    }
    if (row.event_time < cut_until_) {
      ++batch.counts.dead;
      slice.dead.push_back({&record, {wire::DeadReason::before_retention, cut_text_}});
      continue;
    }
    if (!row.session) row.session = derived_session(calendar_, row);
    auto mark = marks_->find(row.symbol);
    if (mark == marks_->end()) {
      mark = marks_->emplace(std::string(row.symbol), marks_from_).first;
      marks_wanted_ = marks_wanted_ || row.event_time <= marks_from_;
    }
    if (row.event_time > mark->second) {
      mark->second = row.event_time;
      slice.rows.add(row, record.appended_at, record.offset, batch.load_id);
      continue;
    }
    row.symbol = mark->first;
    batch.late.add(row, record.appended_at, record.offset);
  }
  if (!records.empty()) batch.last_fingerprint = fingerprint(records.back());
  batch.next = std::min(slice.fetched.next, range.next);
  return Ok{};
}

Status Loader::append(const OffsetRange& range, const Batch& batch, Slice& slice) {
  TRY_STATUS(slice.rows.append_to(connection_, "raw_stocks", "stock_prices"));
  TRY_STATUS(append_dead(range, batch, slice));
  slice.clear();
  return Ok{};
}

Status Loader::read_marks() {
  if (marks_) return Ok{};
  Marks marks;
  marks_from_ = Timestamp::min();
  if (!std::exchange(marks_wanted_, false)) {
    // DuckDB answers this from what it keeps of each row group.
    const auto newest =
        TRY(connection_.query("select max(\"timestamp\") from raw_stocks.stock_prices"));
    const auto* at = std::get_if<Timestamp>(&newest.rows.at(0).at(0));
    if (at) marks_from_ = *at - kMarksReach;
  }
  const std::string where = marks_from_ == Timestamp::min()
                                ? ""
                                : fmt::format("where \"timestamp\" > timestamp '{}' ",
                                              format_rfc3339_micros(marks_from_));
  const auto found = TRY(connection_.query(fmt::format(
      "select symbol, max(\"timestamp\") from raw_stocks.stock_prices {}group by symbol", where)));
  for (const auto& row : found.rows) {
    marks.emplace(std::get<std::string>(row[0]), std::get<Timestamp>(row[1]));
  }
  const auto cut = TRY(connection_.query("select max(price_date) from raw_stocks.retention"));
  cut_until_ = Timestamp::min();
  if (const auto* date = std::get_if<Date>(&cut.rows.at(0).at(0))) {
    cut_until_ = Calendar::new_york_midnight(*date + std::chrono::days(1));
    cut_text_ = fmt::format("the days up to {} were given up", format_date(*date));
  }
  marks_ = std::move(marks);
  return Ok{};
}

Status Loader::append_dead(const OffsetRange& range, const Batch& batch, const Slice& slice) {
  if (slice.dead.empty()) return Ok{};
  const std::size_t rows = slice.dead.size();
  std::vector<std::string> texts;
  std::vector<std::int64_t> offsets, seen;
  std::vector<std::string_view> payloads, reasons;
  texts.reserve(rows);
  for (const auto& [record, letter] : slice.dead) {
    offsets.push_back(record->offset);
    seen.push_back(record->appended_at.time_since_epoch().count());
    payloads.push_back(record->value);
    std::string& reason = texts.emplace_back(to_string(letter.reason));
    if (!letter.detail.empty()) reason += ": " + letter.detail;
    reasons.push_back(reason);
  }
  ColumnBatch letters{.rows = rows};
  letters.columns.push_back({std::vector<std::string_view>(rows, range.topic_id), {}});
  letters.columns.push_back({std::vector<std::int64_t>(rows, range.partition.partition), {}});
  letters.columns.push_back({std::move(offsets), {}});
  letters.columns.push_back({std::move(payloads), {}});
  letters.columns.push_back({std::move(reasons), {}});
  letters.columns.push_back({std::move(seen), {}});
  letters.columns.push_back({std::vector<std::int64_t>(rows, batch.load_id), {}});
  return connection_.append("raw_stocks", "dead_letters", letters);
}

/// The load's row, and the next offset where it still is what this load began at.
Status Loader::write_counts(const OffsetRange& range, const std::string& run_id,
                            const Batch& batch) {
  const std::string now = format_rfc3339_micros(clock_.now());
  const LoadCounts& counts = batch.counts;
  TRY_STATUS(connection_.execute(fmt::format(
      "insert into raw_stocks.loads values ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, "
      "timestamp '{}')",
      batch.load_id, sql_text(run_id), sql_text(range.topic_id), sql_text(range.partition.topic),
      range.partition.partition, batch.first, batch.next, counts.consumed, counts.loaded,
      counts.duplicate, counts.superseded, counts.dead, sql_text(batch.last_fingerprint), now)));

  const std::string where =
      fmt::format("consumer_group = {} and topic_id = {} and topic_partition = {}",
                  sql_text(options_.group), sql_text(range.topic_id), range.partition.partition);
  const auto updated = TRY(connection_.query(fmt::format(
      "update raw_stocks.consumer_offsets set next_offset = {}, fingerprint = {}, updated_at = "
      "timestamp '{}' where {} and next_offset = {}",
      batch.next, sql_text(batch.last_fingerprint), now, where, batch.first)));
  if (updated.changed == 1) return Ok{};
  const auto inserted = TRY(connection_.query(fmt::format(
      "insert into raw_stocks.consumer_offsets select {}, {}, {}, {}, {}, {}, timestamp '{}' where "
      "not exists (select 1 from raw_stocks.consumer_offsets where {})",
      sql_text(options_.group), sql_text(range.topic_id), sql_text(range.partition.topic),
      range.partition.partition, batch.next, sql_text(batch.last_fingerprint), now, where)));
  if (inserted.changed == 1) return Ok{};
  return Error{ErrorCode::unavailable,
               fmt::format("offset {} was loaded by another loader meanwhile", batch.first), ""};
}

void Loader::tell(const LoadCounts& counts) {
  probe_.loaded.add(counts.loaded);
  probe_.duplicate.add(counts.duplicate);
  probe_.superseded.add(counts.superseded);
  probe_.dead.add(counts.dead);
  for (auto& slice : slices_) {
    const wire::Repairs& now = slice->decoder.repairs();
    const wire::Repairs& told = slice->repairs_told;
    const auto tell_one = [](telemetry::Counter& counter, std::uint64_t have, std::uint64_t had) {
      counter.add(static_cast<std::int64_t>(have - had));
    };
    tell_one(probe_.zone_assumed, now.zone_assumed, told.zone_assumed);
    tell_one(probe_.price_rounded, now.price_rounded, told.price_rounded);
    tell_one(probe_.volume_unknown, now.volume_unknown, told.volume_unknown);
    tell_one(probe_.field_dropped, now.field_dropped, told.field_dropped);
    slice->repairs_told = now;
  }
}

Status Loader::pass_over(const OffsetRange& lost, const std::string& run_id) {
  const auto write = [&]() -> Status {
    TRY_STATUS(connection_.execute("begin transaction"));
    const auto moved = TRY(connection_.query(
        "update raw_stocks.load_counter set last_load_id = last_load_id + 1 returning "
        "last_load_id"));
    const Batch batch{.first = lost.first,
                      .next = lost.next,
                      .load_id = warehouse::to_integer(moved.rows.at(0).at(0))};
    TRY_STATUS(write_counts(lost, run_id, batch));
    return connection_.execute("commit");
  };
  const Status written = write();
  if (!written) (void)connection_.execute("rollback");
  return written;
}

Status Loader::check(const msglog::TopicInfo& topic) {
  const auto stored = TRY(connection_.query(
      fmt::format("select topic_id, topic_partition, next_offset, fingerprint from "
                  "raw_stocks.consumer_offsets where consumer_group = {} and topic = {}",
                  sql_text(options_.group), sql_text(topic.name))));
  constexpr std::string_view kHint =
      "Restore the log that goes with this warehouse, or accept the loss with `tapeline topic "
      "accept`.";
  for (const auto& row : stored.rows) {
    const auto partition = warehouse::to_integer(row[1]);
    const Offset next = warehouse::to_integer(row[2]);
    if (std::get<std::string>(row[0]) != topic.id) {
      return Error{
          ErrorCode::corrupt,
          fmt::format("topic '{}' is another one than the warehouse loaded from", topic.name),
          std::string(kHint)};
    }
    if (static_cast<std::size_t>(partition) >= topic.partitions.size() ||
        next > topic.partitions[static_cast<std::size_t>(partition)].end) {
      return Error{ErrorCode::corrupt,
                   fmt::format("the warehouse has loaded '{}' up to offset {}, where the log does "
                               "not reach",
                               topic.name, next),
                   std::string(kHint)};
    }
    if (next <= topic.partitions[static_cast<std::size_t>(partition)].earliest) continue;
    const auto last = TRY(log_.fetch({topic.name, static_cast<std::int32_t>(partition)}, next - 1,
                                     {.records_max = 1}));
    // An offset without a record (repaired, or the mark of a transaction) proves nothing.
    const bool has_record = !last.records.empty() && last.records[0].offset == next - 1;
    if (!has_record && last.next >= next) continue;
    if (!has_record || fingerprint(last.records[0]) != std::get<std::string>(row[3])) {
      return Error{
          ErrorCode::corrupt,
          fmt::format("record {} of '{}' is not the one that was loaded", next - 1, topic.name),
          std::string(kHint)};
    }
  }
  return Ok{};
}

}  // namespace tapeline::ingest
