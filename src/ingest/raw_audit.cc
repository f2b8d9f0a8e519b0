#include "ingest/raw_audit.h"

#include <fmt/format.h>

#include "ingest/raw_columns.h"

namespace tapeline::ingest {
namespace {

using warehouse::sql_text;
using warehouse::to_text;

constexpr std::size_t kFindingsMax = 5;  // of each kind

/// Fills audit_messages and audit_dead from the log.
Status read_topic(msglog::MessageLog& log, warehouse::Connection& connection,
                  const Calendar& calendar, const Loader::Options& options,
                  const msglog::TopicPartition& partition, RawAuditReport& report,
                  std::stop_token stop) {
  wire::Decoder decoder(options.kind);
  for (msglog::Offset at = report.from; at < report.next;) {
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, "the audit was stopped", ""};
    const auto fetched = TRY(log.fetch(
        partition, at, {.records_max = std::min<std::int64_t>(16'384, report.next - at)}));
    if (fetched.next <= at) break;
    RawColumns rows(fetched.records.size());
    std::string dead;
    for (const auto& record : fetched.records) {
      ++report.records;
      wire::QuoteView row;
      if (decoder.decode(record.value, record.appended_at, row)) {
        dead += fmt::format("{}({})", dead.empty() ? "" : ",", record.offset);
        continue;
      }
      if (!row.session) row.session = derived_session(calendar, row);
      rows.add(row, record.appended_at, record.offset, 0);
    }
    TRY_STATUS(rows.append_to(connection, "temp", "audit_messages"));
    if (!dead.empty()) TRY_STATUS(connection.execute("insert into temp.audit_dead values " + dead));
    decoder.forget();
    at = fetched.next;
  }
  return Ok{};
}

/// Adds a finding for each row that `sql` answers.
Status find(warehouse::Connection& connection, const std::string& sql, std::string_view what,
            std::vector<std::string>& findings) {
  const auto rows = TRY(connection.query(sql));
  for (std::size_t i = 0; i < rows.rows.size() && i < kFindingsMax; ++i) {
    std::string where;
    for (const auto& value : rows.rows[i]) where += (where.empty() ? "" : " ") + to_text(value);
    findings.push_back(fmt::format("{}: {}", what, where));
  }
  if (rows.rows.size() > kFindingsMax) {
    findings.push_back(fmt::format("{}: and {} more", what, rows.rows.size() - kFindingsMax));
  }
  return Ok{};
}

/// Settles the messages of days that retention has cut: those loaded after the cut of their day
/// are dead letters, those loaded before it were rows and are none any more.
Status settle_cut(warehouse::Connection& connection, const std::string& where_load,
                  RawAuditReport& report) {
  const auto cuts = TRY(connection.query(
      "select coalesce(sum(raw_rows), 0)::bigint, max(price_date) from raw_stocks.retention"));
  const auto* cut = std::get_if<Date>(&cuts.rows.at(0).at(1));
  if (!cut) return Ok{};
  report.cut = *cut;
  report.rows_cut = std::get<std::int64_t>(cuts.rows[0][0]);
  const std::string on_cut_days = fmt::format("price_date <= date '{}'", format_date(*cut));
  TRY_STATUS(connection.execute(fmt::format(
      "insert into temp.audit_dead select m.topic_offset from temp.audit_messages m join "
      "raw_stocks.loads l on {} and m.topic_offset >= l.first_offset and m.topic_offset < "
      "l.next_offset where m.{} and m.price_date <= (select max(r.price_date) from "
      "raw_stocks.retention r where r.load_id < l.load_id)",
      where_load, on_cut_days)));
  TRY_STATUS(connection.execute("delete from temp.audit_messages where " + on_cut_days));
  return find(connection,
              fmt::format("select symbol, \"timestamp\" from raw_stocks.stock_prices where {} "
                          "order by all limit 100",
                          on_cut_days),
              "raw has a row of a day that retention has cut", report.findings);
}

Status compare(warehouse::Connection& connection, const std::string& where_load,
               RawAuditReport& report) {
  std::string differs;
  for (const std::string_view column : kPayloadColumns) {
    differs +=
        fmt::format("{}m.{} is distinct from r.{}", differs.empty() ? "" : " or ", column, column);
  }
  // The last message of each key, by its offset.
  TRY_STATUS(connection.execute(
      "create or replace temporary table audit_last as select m.* from temp.audit_messages m join "
      "(select symbol, \"timestamp\", max(topic_offset) as topic_offset from temp.audit_messages "
      "group by symbol, \"timestamp\") l using (symbol, \"timestamp\", topic_offset)"));
  auto& findings = report.findings;
  TRY_STATUS(
      find(connection,
           "select m.symbol, m.\"timestamp\", 'offset', m.topic_offset from temp.audit_last m "
           "anti join raw_stocks.stock_prices r on r.symbol = m.symbol and "
           "r.\"timestamp\" = m.\"timestamp\" order by all limit 100",
           "in the topic, not in raw", findings));
  TRY_STATUS(
      find(connection,
           "select m.symbol, m.\"timestamp\", 'offset', m.topic_offset from temp.audit_last m "
           "join raw_stocks.stock_prices r on r.symbol = m.symbol and r.\"timestamp\" = "
           "m.\"timestamp\" where " +
               differs + " order by all limit 100",
           "raw has another payload than the topic's last message", findings));
  TRY_STATUS(
      find(connection,
           fmt::format("select r.symbol, r.\"timestamp\", 'offset', r.topic_offset from "
                       "raw_stocks.stock_prices r join raw_stocks.loads l on {} and l.load_id "
                       "= r.load_id anti join temp.audit_last m on r.symbol = m.symbol and "
                       "r.\"timestamp\" = m.\"timestamp\" where r.topic_offset >= {} order by "
                       "all limit 100",
                       where_load, report.from),
           "in raw, not in the topic", findings));
  TRY_STATUS(
      find(connection,
           "select symbol, \"timestamp\", count(*) from raw_stocks.stock_prices group by symbol, "
           "\"timestamp\" having count(*) > 1 order by all limit 100",
           "a key stands in raw more than once", findings));
  TRY_STATUS(
      find(connection,
           fmt::format("select coalesce(d.topic_offset, a.o) from (select topic_offset from "
                       "raw_stocks.dead_letters l where {} and topic_offset >= {}) d full join "
                       "temp.audit_dead a on a.o = d.topic_offset where d.topic_offset is null "
                       "or a.o is null order by all limit 100",
                       where_load, report.from),
           "dead letters differ at offset", findings));
  TRY_STATUS(
      find(connection,
           "select load_id from raw_stocks.loads where consumed <> loaded + duplicate + superseded "
           "+ dead order by all limit 100",
           "the equation does not balance in load", findings));
  TRY_STATUS(
      find(connection,
           fmt::format("select first_offset, before from (select first_offset, lag(next_offset) "
                       "over (order by first_offset) as before from raw_stocks.loads l where {}) "
                       "where before <> first_offset order by all limit 100",
                       where_load),
           "loads do not join at offset", findings));
  TRY_STATUS(find(
      connection,
      "select loaded, rows, cut from (select (select coalesce(sum(loaded), 0) from "
      "raw_stocks.loads) as loaded, (select count(*) from raw_stocks.stock_prices) as rows, "
      "(select coalesce(sum(raw_rows), 0) from raw_stocks.retention) as cut) "
      "where loaded <> rows + cut",
      "messages counted as loaded and rows of raw, with those that were cut, differ", findings));
  return Ok{};
}

Result<RawAuditReport> audit_snapshot(msglog::MessageLog& log, warehouse::Connection& connection,
                                      const Calendar& calendar, const Loader::Options& options,
                                      const msglog::TopicInfo& topic, std::int32_t partition,
                                      std::stop_token stop) {
  RawAuditReport report;
  const std::string where_load =
      fmt::format("l.topic_id = {} and l.topic_partition = {}", sql_text(topic.id), partition);
  const auto stored = TRY(connection.query(fmt::format(
      "select next_offset from raw_stocks.consumer_offsets where consumer_group = {} and "
      "topic_id = {} and topic_partition = {}",
      sql_text(options.group), sql_text(topic.id), partition)));
  report.from = topic.partitions.at(static_cast<std::size_t>(partition)).earliest;
  report.next = stored.rows.empty() ? report.from : warehouse::to_integer(stored.rows[0][0]);
  const auto sums = TRY(connection.query(
      "select sum(consumed), sum(loaded), sum(duplicate), sum(superseded), sum(dead), (select "
      "count(*) from raw_stocks.stock_prices) from raw_stocks.loads"));
  const auto& row = sums.rows.at(0);
  report.counts = {warehouse::to_integer(row[0]), warehouse::to_integer(row[1]),
                   warehouse::to_integer(row[2]), warehouse::to_integer(row[3]),
                   warehouse::to_integer(row[4])};
  report.rows = warehouse::to_integer(row[5]);
  TRY_STATUS(connection.execute(
      "create or replace temporary table audit_messages as select * from raw_stocks.stock_prices "
      "limit 0; create or replace temporary table audit_dead (o bigint)"));
  TRY_STATUS(read_topic(log, connection, calendar, options, {topic.name, partition}, report, stop));
  TRY_STATUS(settle_cut(connection, where_load, report));
  TRY_STATUS(compare(connection, where_load, report));
  return report;
}

}  // namespace

Result<RawAuditReport> audit_raw(msglog::MessageLog& log, warehouse::Connection& connection,
                                 const Calendar& calendar, const Loader::Options& options,
                                 const msglog::TopicInfo& topic, std::int32_t partition,
                                 std::stop_token stop) {
  TRY_STATUS(connection.execute("begin transaction"));
  auto report = audit_snapshot(log, connection, calendar, options, topic, partition, stop);
  const Status ended = connection.execute("rollback");
  if (report) TRY_STATUS(ended);
  return report;
}

}  // namespace tapeline::ingest
