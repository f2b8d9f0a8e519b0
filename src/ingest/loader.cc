#include "ingest/loader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "ingest/raw_columns.h"

namespace tapeline::ingest {

using msglog::Offset;
using warehouse::ColumnBatch;
using warehouse::ColumnData;
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

struct Key {
  std::string_view symbol;
  Timestamp at;
  friend bool operator==(const Key&, const Key&) = default;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    return std::hash<std::string_view>()(key.symbol) ^
           (static_cast<std::size_t>(key.at.time_since_epoch().count()) * 0x9e3779b97f4a7c15U);
  }
};

std::int64_t micros(Timestamp at) { return at.time_since_epoch().count(); }

std::int64_t read_integer(const warehouse::Value& value) {
  const auto* whole = std::get_if<std::int64_t>(&value);
  return whole ? *whole : 0;
}

}  // namespace

/// One load in the making. Rows look into the fetched memory.
struct Loader::Batch {
  std::vector<msglog::FetchedRecords> fetched;
  std::vector<QuoteView> rows;
  std::vector<Timestamp> appended;
  std::vector<Offset> offsets;
  std::vector<bool> insert;                    // by row: it goes into raw as it is
  std::vector<std::size_t> known;              // rows whose key may be there already
  std::vector<std::int64_t> replaced_row_ids;  // of raw rows that a later message replaces

  struct Dead {
    Offset offset;
    Timestamp appended_at;
    std::string_view payload;
    std::string reason;
  };
  std::vector<Dead> dead;
  Offset first = 0;
  Offset next = 0;
  std::string last_fingerprint;
  LoadCounts counts;
};

Loader::Loader(const Clock& clock, msglog::MessageLog& log, warehouse::Connection& connection,
               const Calendar& calendar, LoaderProbe& probe, Options options)
    : clock_(clock),
      log_(log),
      connection_(connection),
      calendar_(calendar),
      probe_(probe),
      options_(std::move(options)),
      decoder_(options_.kind) {}

Loader::~Loader() = default;

Result<std::optional<Offset>> Loader::next_offset(const std::string& topic_id,
                                                  std::int32_t partition) {
  const auto found = TRY(connection_.query(
      fmt::format("select next_offset from raw_stocks.consumer_offsets where consumer_group = {} "
                  "and topic_id = {} and topic_partition = {}",
                  sql_text(options_.group), sql_text(topic_id), partition)));
  if (found.rows.empty()) return std::optional<Offset>();
  return std::optional<Offset>(read_integer(found.rows[0][0]));
}

Result<LoadCounts> Loader::stored_counts(const OffsetRange& range) {
  const auto found = TRY(connection_.query(
      fmt::format("select sum(consumed), sum(loaded), sum(duplicate), sum(superseded), sum(dead) "
                  "from raw_stocks.loads where topic_id = {} and topic_partition = {} and "
                  "first_offset >= {} and next_offset <= {}",
                  sql_text(range.topic_id), range.partition.partition, range.first, range.next)));
  const auto& row = found.rows.at(0);
  return LoadCounts{read_integer(row[0]), read_integer(row[1]), read_integer(row[2]),
                    read_integer(row[3]), read_integer(row[4])};
}

Result<LoadCounts> Loader::load(const OffsetRange& range, const std::string& run_id,
                                std::stop_token stop) {
  const auto stored = TRY(next_offset(range.topic_id, range.partition.partition));
  Offset next = stored.value_or(range.first);
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
    decoder_.forget();
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
  Batch batch;
  TRY_STATUS(read(range, batch));
  TRY_STATUS(read_marks());
  TRY_STATUS(connection_.execute("begin transaction"));
  TRY_STATUS(settle(batch));
  TL_ASSERT(batch.counts.balances());
  TRY_STATUS(write(range, run_id, batch));
  TRY_STATUS(connection_.execute("commit"));
  tell(batch);
  return batch.counts;
}

Status Loader::read(const OffsetRange& range, Batch& batch) {
  batch.first = range.first;
  batch.next = range.first;
  while (batch.next < range.next) {
    auto fetched =
        TRY(log_.fetch(range.partition, batch.next, {.records_max = range.next - batch.next}));
    if (fetched.next <= batch.next) {
      return Error{ErrorCode::corrupt,
                   fmt::format("the log ends at offset {}, before the range does at {}", batch.next,
                               range.next),
                   "Run `tapeline topic verify`."};
    }
    for (const msglog::RecordView& record : fetched.records) {
      ++batch.counts.consumed;
      QuoteView& row = batch.rows.emplace_back();
      if (auto dead = decoder_.decode(record.value, record.appended_at, row)) {
        batch.rows.pop_back();
        std::string reason(to_string(dead->reason));
        if (!dead->detail.empty()) reason += ": " + dead->detail;
        batch.dead.push_back({record.offset, record.appended_at, record.value, reason});
        continue;
      }
      if (!row.session) row.session = derived_session(calendar_, row);
      batch.appended.push_back(record.appended_at);
      batch.offsets.push_back(record.offset);
    }
    if (!fetched.records.empty()) batch.last_fingerprint = fingerprint(fetched.records.back());
    batch.next = fetched.next;
    batch.fetched.push_back(std::move(fetched));
  }
  batch.counts.dead = static_cast<std::int64_t>(batch.dead.size());
  return Ok{};
}

Status Loader::read_marks() {
  if (marks_) return Ok{};
  Marks marks;
  const auto found = TRY(connection_.query(
      "select symbol, max(\"timestamp\") from raw_stocks.stock_prices group by symbol"));
  for (const auto& row : found.rows) {
    marks.emplace(std::get<std::string>(row[0]), std::get<Timestamp>(row[1]));
  }
  marks_ = std::move(marks);
  return Ok{};
}

Status Loader::settle(Batch& batch) {
  batch.insert.assign(batch.rows.size(), true);
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const QuoteView& row = batch.rows[i];
    const auto mark = marks_->find(row.symbol);
    if (mark == marks_->end()) {
      marks_->emplace(std::string(row.symbol), row.event_time);
    } else if (row.event_time > mark->second) {
      mark->second = row.event_time;
    } else {
      batch.known.push_back(i);
    }
  }
  if (!batch.known.empty()) TRY_STATUS(settle_known_keys(batch));
  batch.counts.loaded =
      batch.counts.consumed - batch.counts.dead - batch.counts.duplicate - batch.counts.superseded;
  return Ok{};
}

/// Rows at or below their mark: some are late and new, some repeat a key. The first row of
/// such a key in this batch is compared with raw by SQL, each further one with the one before.
Status Loader::settle_known_keys(Batch& batch) {
  struct State {
    std::optional<std::size_t> latest;       // the row whose values the key has by now
    std::optional<std::int64_t> raw_row_id;  // where raw has the key already
    bool same_as_raw = false;                // the first row of the batch says what raw says
    bool replaces = false;
  };
  std::unordered_map<Key, State, KeyHash> states;
  const auto key_of = [&](std::size_t i) {
    return Key{batch.rows[i].symbol, batch.rows[i].event_time};
  };
  std::vector<std::size_t> firsts;  // the first row at or below its mark, by key
  for (const std::size_t i : batch.known) {
    if (states.try_emplace(key_of(i)).second) firsts.push_back(i);
  }
  probe_.rows_looked_up.add(static_cast<std::int64_t>(firsts.size()));

  TRY_STATUS(connection_.execute(
      "create or replace temporary table loader_keys as select symbol, \"timestamp\", price, "
      "open, high, low, volume, previous_close, session, bar_length, data_source, load_id as "
      "row_index from raw_stocks.stock_prices limit 0"));
  ColumnBatch keys{.rows = firsts.size()};
  std::vector<std::string_view> symbols;
  std::vector<std::int64_t> times;
  std::vector<std::int64_t> indexes;
  for (const std::size_t i : firsts) {
    symbols.push_back(batch.rows[i].symbol);
    times.push_back(micros(batch.rows[i].event_time));
    indexes.push_back(static_cast<std::int64_t>(i));
  }
  const auto [low, high] = std::minmax_element(times.begin(), times.end());
  const std::string from = format_rfc3339_micros(Timestamp(std::chrono::microseconds(*low)));
  const std::string to = format_rfc3339_micros(Timestamp(std::chrono::microseconds(*high)));
  keys.columns.push_back({std::move(symbols), {}});
  keys.columns.push_back({std::move(times), {}});
  add_payload_columns(batch.rows, firsts, keys.columns);
  keys.columns.push_back({std::move(indexes), {}});
  TRY_STATUS(connection_.append("temp", "loader_keys", keys));

  std::string same;
  for (const std::string_view column : kPayloadColumns) {
    if (!same.empty()) same += " and ";
    same += fmt::format("k.{0} is not distinct from r.{0}", column);
  }
  const auto existing = TRY(connection_.query(fmt::format(
      "select k.row_index, r.rowid, {} from temp.loader_keys k join raw_stocks.stock_prices r on "
      "r.symbol = k.symbol and r.\"timestamp\" = k.\"timestamp\" where r.\"timestamp\" between "
      "timestamp '{}' and timestamp '{}'",
      same, from, to)));
  for (const auto& row : existing.rows) {
    State& state = states.at(key_of(static_cast<std::size_t>(read_integer(row[0]))));
    state.raw_row_id = read_integer(row[1]);
    state.same_as_raw = std::get<bool>(row[2]);
  }

  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const auto found = states.find(key_of(i));
    if (found == states.end()) continue;
    State& state = found->second;
    const bool repeats = state.latest || state.raw_row_id;
    const bool same_payload = state.latest
                                  ? wire::same_payload(batch.rows[*state.latest], batch.rows[i])
                                  : state.raw_row_id && state.same_as_raw;
    batch.insert[i] = false;
    if (repeats && same_payload) {
      ++batch.counts.duplicate;
      if (!state.latest) state.latest = i;
      continue;
    }
    if (repeats) ++batch.counts.superseded;
    state.latest = i;
    state.replaces = true;
  }
  for (const auto& [key, state] : states) {
    if (!state.replaces) continue;
    batch.insert[*state.latest] = true;
    if (state.raw_row_id) batch.replaced_row_ids.push_back(*state.raw_row_id);
  }
  return Ok{};
}

Status Loader::write(const OffsetRange& range, const std::string& run_id, Batch& batch) {
  // Updating the one-row counter first makes loads commit one after another: the second of
  // two loaders fails here.
  const auto moved = TRY(connection_.query(
      "update raw_stocks.load_counter set last_load_id = last_load_id + 1 returning "
      "last_load_id"));
  const std::int64_t load_id = read_integer(moved.rows.at(0).at(0));

  if (!batch.replaced_row_ids.empty()) {
    TRY_STATUS(
        connection_.execute("create or replace temporary table loader_replaced (row_id bigint)"));
    ColumnBatch ids{.rows = batch.replaced_row_ids.size()};
    ids.columns.push_back({std::move(batch.replaced_row_ids), {}});
    TRY_STATUS(connection_.append("temp", "loader_replaced", ids));
    TRY_STATUS(connection_.execute(
        "delete from raw_stocks.stock_prices where rowid in (select row_id from "
        "temp.loader_replaced)"));
  }

  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    if (batch.insert[i]) which.push_back(i);
  }
  std::vector<ColumnData> payload;
  add_payload_columns(batch.rows, which, payload);
  std::vector<std::string_view> symbols;
  std::vector<std::int64_t> times, dates, hours, appended, offsets;
  NullableColumn received;
  for (const std::size_t i : which) {
    const QuoteView& row = batch.rows[i];
    symbols.push_back(row.symbol);
    times.push_back(micros(row.event_time));
    dates.push_back(Calendar::new_york_date(row.event_time).time_since_epoch().count());
    hours.push_back(Calendar::new_york_hour(row.event_time));
    received.add(row.received_at ? std::optional(micros(*row.received_at)) : std::nullopt);
    appended.push_back(micros(batch.appended[i]));
    offsets.push_back(batch.offsets[i]);
  }
  // The table's order: symbol, price, volume, timestamp, high, low, open, data_source,
  // previous_close, session, bar_length, price_date, price_hour, received_at, appended_at,
  // topic_offset, load_id.
  ColumnBatch raw{.rows = which.size()};
  raw.columns.push_back({std::move(symbols), {}});
  raw.columns.push_back(std::move(payload[0]));
  raw.columns.push_back(std::move(payload[4]));
  raw.columns.push_back({std::move(times), {}});
  raw.columns.push_back(std::move(payload[2]));
  raw.columns.push_back(std::move(payload[3]));
  raw.columns.push_back(std::move(payload[1]));
  raw.columns.push_back(std::move(payload[8]));
  raw.columns.push_back(std::move(payload[5]));
  raw.columns.push_back(std::move(payload[6]));
  raw.columns.push_back(std::move(payload[7]));
  raw.columns.push_back({std::move(dates), {}});
  raw.columns.push_back({std::move(hours), {}});
  raw.columns.push_back(received.take());
  raw.columns.push_back({std::move(appended), {}});
  raw.columns.push_back({std::move(offsets), {}});
  raw.columns.push_back({std::vector<std::int64_t>(which.size(), load_id), {}});
  TRY_STATUS(connection_.append("raw_stocks", "stock_prices", raw));

  if (!batch.dead.empty()) {
    ColumnBatch dead{.rows = batch.dead.size()};
    const std::size_t rows = batch.dead.size();
    std::vector<std::int64_t> dead_offsets, seen;
    std::vector<std::string_view> payloads, reasons;
    for (const auto& letter : batch.dead) {
      dead_offsets.push_back(letter.offset);
      seen.push_back(micros(letter.appended_at));
      payloads.push_back(letter.payload);
      reasons.push_back(letter.reason);
    }
    dead.columns.push_back({std::vector<std::string_view>(rows, range.topic_id), {}});
    dead.columns.push_back({std::vector<std::int64_t>(rows, range.partition.partition), {}});
    dead.columns.push_back({std::move(dead_offsets), {}});
    dead.columns.push_back({std::move(payloads), {}});
    dead.columns.push_back({std::move(reasons), {}});
    dead.columns.push_back({std::move(seen), {}});
    dead.columns.push_back({std::vector<std::int64_t>(rows, load_id), {}});
    TRY_STATUS(connection_.append("raw_stocks", "dead_letters", dead));
  }

  const std::string now = format_rfc3339_micros(clock_.now());
  const LoadCounts& counts = batch.counts;
  TRY_STATUS(connection_.execute(fmt::format(
      "insert into raw_stocks.loads values ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, "
      "timestamp '{}')",
      load_id, sql_text(run_id), sql_text(range.topic_id), sql_text(range.partition.topic),
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

void Loader::tell(const Batch& batch) {
  probe_.loaded.add(batch.counts.loaded);
  probe_.duplicate.add(batch.counts.duplicate);
  probe_.superseded.add(batch.counts.superseded);
  probe_.dead.add(batch.counts.dead);
  const wire::Repairs& now = decoder_.repairs();
  const auto tell_one = [](telemetry::Counter& counter, std::uint64_t have, std::uint64_t told) {
    counter.add(static_cast<std::int64_t>(have - told));
  };
  tell_one(probe_.zone_assumed, now.zone_assumed, repairs_told_.zone_assumed);
  tell_one(probe_.price_rounded, now.price_rounded, repairs_told_.price_rounded);
  tell_one(probe_.volume_unknown, now.volume_unknown, repairs_told_.volume_unknown);
  tell_one(probe_.field_dropped, now.field_dropped, repairs_told_.field_dropped);
  repairs_told_ = now;
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
    const auto partition = read_integer(row[1]);
    const Offset next = read_integer(row[2]);
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
    if (last.records.empty() || fingerprint(last.records[0]) != std::get<std::string>(row[3])) {
      return Error{
          ErrorCode::corrupt,
          fmt::format("record {} of '{}' is not the one that was loaded", next - 1, topic.name),
          std::string(kHint)};
    }
  }
  return Ok{};
}

}  // namespace tapeline::ingest
