// RawAudit: proves that raw_stocks says what the topic says.
//
// It reads every record that the log still has below the loader's next offset, decodes it anew,
// and compares: the last payload of each key with its row, each dead letter, and the counts of
// every load. It shares the decoder with the loader and nothing else: keys are settled by SQL here.

#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "ingest/loader.h"

namespace tapeline::ingest {

/// What an audit found. Empty findings: everything agrees.
struct RawAuditReport {
  msglog::Offset from = 0;  // of the first record that the log still has
  msglog::Offset next = 0;  // the loader's next offset
  std::int64_t records = 0;
  std::int64_t rows = 0;              // in raw
  std::int64_t rows_cut = 0;          // given up by retention
  std::optional<Date> cut;            // the last day that was
  LoadCounts counts;                  // over all loads
  std::vector<std::string> findings;  // sentences; the first few of each kind
};

/// Audits one partition, whose topic is `topic`.
///
/// errors: those of log and warehouse; a difference is a finding, not an error
/// blocks: until it is done; it reads a snapshot, so that loads may go on
Result<RawAuditReport> audit_raw(msglog::MessageLog& log, warehouse::Connection& connection,
                                 const Calendar& calendar, const Loader::Options& options,
                                 const msglog::TopicInfo& topic, std::int32_t partition,
                                 std::stop_token stop = {});

}  // namespace tapeline::ingest
