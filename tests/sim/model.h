// Model: what log, warehouse and live table must hold, kept in plain maps beside them.
//
// It knows what each message means because it is told before the message is sent; it shares no
// code with decoder, loader or models. Every difference is one line in `problems`.

#pragma once

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "market/calendar.h"
#include "market/quote.h"
#include "msglog/embedded/embedded_log.h"
#include "text/value.h"
#include "warehouse/warehouse.h"

namespace tapeline::sim {

using msglog::Offset;
using Problems = std::vector<std::string>;

class Model {
 public:
  struct Options {
    std::string topic;
    bool simulated = false;  // the directory's kind
  };
  Model(const Calendar& calendar, Problems& problems, Options options)
      : calendar_(calendar), problems_(problems), options_(std::move(options)) {}

  /// Says what a message means before it can be in the log; none: no quote can be read from it.
  void offer(const std::string& value, std::optional<Quote> meaning);

  /// The log has acknowledged a record: from now on it must be there.
  void acknowledge(Offset offset, const std::string& value);

  /// Reads what is new in the log. What was read once must stay.
  void read(msglog::MessageLog& log);

  /// Reads everything that the log has, and its own opinion of itself.
  void check_log(msglog::EmbeddedLog& log);

  /// Loads, offsets, raw rows and dead letters against what the log's records mean.
  void check_warehouse(warehouse::Connection& connection);

  /// Daily aggregates against those of the rows that are loaded. Everything was transformed.
  void check_marts(warehouse::Connection& connection);

  /// The first record that was appended at `since` or later; the end where there is none. A wall
  /// clock that went back makes later ones older than that: they count.
  Offset first_at(Timestamp since) const;

  /// `quotes` of the API against the newest of the records from `first` on.
  void check_live(const text::Value& quotes, Offset first);

  /// The greatest event time of each symbol in the log.
  std::map<Symbol, Timestamp> last_event_times() const;

  /// One past the newest record that is known.
  Offset end() const { return records_.empty() ? 0 : records_.rbegin()->first + 1; }

 private:
  struct Record {
    std::string value;
    std::optional<Timestamp> appended_at;  // known once it was read
  };
  using Key = std::pair<std::string, Timestamp>;
  struct Row {
    Quote quote;
    std::string payload;
    Offset offset = 0;
    std::int64_t load_id = 0;
  };
  struct Counts {
    std::int64_t loaded = 0, duplicate = 0, superseded = 0, dead = 0;
    friend bool operator==(const Counts&, const Counts&) = default;
  };

  template <typename... Args>
  void differ(fmt::format_string<Args...> text, Args&&... args) {
    problems_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  void know(Offset offset, std::string_view value, std::optional<Timestamp> appended_at);
  std::optional<Quote> meaning(const Record& record) const;
  std::string payload_of(const Quote& quote) const;
  Counts load(Offset first, Offset next, std::int64_t load_id);
  void check_raw(warehouse::Connection& connection);

  const Calendar& calendar_;
  Problems& problems_;
  const Options options_;
  std::map<std::string, std::optional<Quote>, std::less<>> meanings_;
  std::map<Offset, Record> records_;

  // As the loads of the last check say.
  std::map<Key, Row> rows_;
  std::vector<std::pair<Offset, std::int64_t>> dead_;  // with the load
};

}  // namespace tapeline::sim
