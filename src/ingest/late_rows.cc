#include "ingest/late_rows.h"

#include <fmt/format.h>

#include <algorithm>

namespace tapeline::ingest {

void LateRows::add(const wire::QuoteView& row, Timestamp appended_at, msglog::Offset offset) {
  Row& added = rows_.emplace_back(Row{row, appended_at, offset});
  added.quote.data_source = *sources_.emplace(row.data_source).first;
}

Result<LateRows::Settled> LateRows::settle(warehouse::Connection& connection, RawColumns& buffer,
                                           std::int64_t load_id) {
  if (rows_.empty()) return Settled{};
  States states;
  for (const Row& row : rows_) {
    State& state = states[key_of(row)];
    if (!state.first) state.first = &row;
  }
  TRY_STATUS(look_up(connection, buffer, states));
  const Settled settled = compare(states);
  TRY_STATUS(write(connection, buffer, states, load_id));
  return settled;
}

/// Finds out which keys raw has, and whether their first rows say the same.
Status LateRows::look_up(warehouse::Connection& connection, RawColumns& buffer,
                         States& states) const {
  TRY_STATUS(
      connection.execute("create or replace temporary table loader_keys as select * from "
                         "raw_stocks.stock_prices limit 0"));
  std::unordered_map<msglog::Offset, State*> by_offset;
  Timestamp low = Timestamp::max();
  Timestamp high = Timestamp::min();
  for (auto& [key, state] : states) {
    by_offset.emplace(state.first->offset, &state);
    low = std::min(low, key.at);
    high = std::max(high, key.at);
    if (buffer.is_full()) TRY_STATUS(buffer.append_to(connection, "temp", "loader_keys"));
    buffer.add(state.first->quote, state.first->appended_at, state.first->offset, 0);
  }
  TRY_STATUS(buffer.append_to(connection, "temp", "loader_keys"));

  std::string same;
  for (const std::string_view column : kPayloadColumns) {
    if (!same.empty()) same += " and ";
    same += fmt::format("k.{0} is not distinct from r.{0}", column);
  }
  const auto found = TRY(connection.query(fmt::format(
      "select k.topic_offset, r.rowid, {} from temp.loader_keys k join raw_stocks.stock_prices r "
      "on r.symbol = k.symbol and r.\"timestamp\" = k.\"timestamp\" where r.\"timestamp\" "
      "between timestamp '{}' and timestamp '{}'",
      same, format_rfc3339_micros(low), format_rfc3339_micros(high))));
  for (const auto& row : found.rows) {
    State& state = *by_offset.at(warehouse::to_integer(row[0]));
    state.raw_row_id = warehouse::to_integer(row[1]);
    state.same_as_raw = std::get<bool>(row[2]);
  }
  return Ok{};
}

LateRows::Settled LateRows::compare(States& states) const {
  Settled settled{.looked_up = std::ssize(states)};
  for (const Row& row : rows_) {
    State& state = states.at(key_of(row));
    const bool repeats = state.latest || state.raw_row_id;
    const bool same_payload = state.latest ? wire::same_payload(state.latest->quote, row.quote)
                                           : state.raw_row_id && state.same_as_raw;
    if (repeats && same_payload) {
      ++settled.duplicate;
      if (!state.latest) state.latest = &row;
      continue;
    }
    if (repeats) ++settled.superseded;
    state.latest = &row;
    state.replaces = true;
  }
  return settled;
}

Status LateRows::write(warehouse::Connection& connection, RawColumns& buffer, const States& states,
                       std::int64_t load_id) const {
  std::vector<std::int64_t> row_ids;
  for (const auto& [key, state] : states) {
    if (state.replaces && state.raw_row_id) row_ids.push_back(*state.raw_row_id);
  }
  if (!row_ids.empty()) {
    TRY_STATUS(
        connection.execute("create or replace temporary table loader_replaced (row_id bigint)"));
    const std::size_t replaced = row_ids.size();
    TRY_STATUS(
        connection.append("temp", "loader_replaced", {replaced, {{.values = std::move(row_ids)}}}));
    TRY_STATUS(
        connection.execute("delete from raw_stocks.stock_prices where rowid in (select row_id from "
                           "temp.loader_replaced)"));
  }
  for (const Row& row : rows_) {
    const State& state = states.at(key_of(row));
    if (!state.replaces || state.latest != &row) continue;
    if (buffer.is_full()) TRY_STATUS(buffer.append_to(connection, "raw_stocks", "stock_prices"));
    buffer.add(row.quote, row.appended_at, row.offset, load_id);
  }
  return buffer.append_to(connection, "raw_stocks", "stock_prices");
}

}  // namespace tapeline::ingest
