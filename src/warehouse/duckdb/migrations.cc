#include "warehouse/duckdb/migrations.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "warehouse/duckdb/query.h"

namespace tapeline::warehouse {
namespace {

// Each entry takes the database from the version that is its index to the next. An entry that
// has been released is never changed. No named types: DuckDB 1.5 cannot replay from its WAL the
// `create type` in a schema that was not checkpointed yet.
constexpr std::array<const char*, 2> kMigrations = {
    R"sql(
create schema if not exists raw_stocks;
create schema if not exists stg_stocks;
create schema if not exists int_stocks;
create schema if not exists marts_stocks;
create table raw_stocks.stock_prices (
  symbol varchar not null,
  price decimal(18,6) not null,
  volume bigint,
  "timestamp" timestamp not null,
  high decimal(18,6),
  low decimal(18,6),
  open decimal(18,6),
  data_source varchar not null,
  previous_close decimal(18,6),
  session enum ('pre', 'regular', 'post', 'closed') not null,
  bar_length enum ('1m', '5m', '15m', '30m', '1h', '4h', '1d'),
  price_date date not null,
  price_hour smallint not null,
  received_at timestamp,
  appended_at timestamp not null,
  topic_offset bigint not null,
  load_id bigint not null
);
create table raw_stocks.dead_letters (
  topic_id varchar not null,
  topic_partition integer not null,
  topic_offset bigint not null,
  payload blob not null,
  reason varchar not null,
  first_seen timestamp not null,
  load_id bigint not null
);
create table raw_stocks.loads (
  load_id bigint not null,
  run_id varchar not null,
  topic_id varchar not null,
  topic varchar not null,
  topic_partition integer not null,
  first_offset bigint not null,
  next_offset bigint not null,
  consumed bigint not null,
  loaded bigint not null,
  duplicate bigint not null,
  superseded bigint not null,
  dead bigint not null,
  fingerprint varchar not null,
  loaded_at timestamp not null
);
create table raw_stocks.consumer_offsets (
  consumer_group varchar not null,
  topic_id varchar not null,
  topic varchar not null,
  topic_partition integer not null,
  next_offset bigint not null,
  fingerprint varchar not null,
  updated_at timestamp not null
);
create table raw_stocks.load_counter (last_load_id bigint not null);
insert into raw_stocks.load_counter values (0);
create table raw_stocks.gaps (
  feed varchar not null,
  symbol varchar not null,
  gap_start timestamp not null,
  gap_end timestamp not null,
  cause varchar not null,
  healed_at timestamp
);
)sql",
    // Raw and staging rows of the days up to price_date were given up, raw_rows of raw. Taken in
    // turn with the loads: the ones before it have a lower load_id.
    R"sql(
create table raw_stocks.retention (
  load_id bigint not null,
  price_date date not null,
  raw_rows bigint not null,
  staging_rows bigint not null,
  archive varchar not null,
  cut_at timestamp not null
);
)sql"};

std::int64_t current_version(duckdb_connection connection) {
  OwnedResult result;
  if (duckdb_query(connection, "select version from raw_stocks.schema_version", result.get()) ==
      DuckDBError) {
    return 0;  // there is no such table yet
  }
  const DataChunk chunk(duckdb_fetch_chunk(result.value()));
  if (!chunk.get() || duckdb_data_chunk_get_size(chunk.get()) != 1) return 0;
  return static_cast<const std::int64_t*>(
      duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk.get(), 0)))[0];
}

}  // namespace

Status migrate(duckdb_connection connection) {
  constexpr auto kNewest = static_cast<std::int64_t>(kMigrations.size());
  const std::int64_t have = current_version(connection);
  if (have > kNewest) {
    return Error{ErrorCode::unsupported,
                 fmt::format("the warehouse has version {}, this tapeline knows {}", have, kNewest),
                 "Start the tapeline that wrote it, or a newer one."};
  }
  for (std::int64_t version = have; version < kNewest; ++version) {
    const std::string marked = fmt::format(
        "begin transaction; {}; create schema if not exists raw_stocks; create table if not exists "
        "raw_stocks.schema_version (version bigint); delete from raw_stocks.schema_version; insert "
        "into raw_stocks.schema_version values ({}); commit;",
        kMigrations[static_cast<std::size_t>(version)], version + 1);
    if (auto done = run(connection, marked); !done) {
      (void)run(connection, "rollback");
      return std::move(done).error().while_doing(
          fmt::format("taking the warehouse to version {}", version + 1));
    }
  }
  return Ok{};
}

}  // namespace tapeline::warehouse
