// Routes: the table that dispatches requests and that /openapi.json is made of.
//
// A route says once which parameters it takes; requests are checked against that before the
// handler sees them, and the same lines describe the API. So the description cannot drift.

#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "io/http_server.h"
#include "serve/access.h"
#include "text/value.h"
#include "warehouse/warehouse.h"

namespace tapeline::serve {

enum class ParamType : std::uint8_t {
  text,      // any non-empty text of at most 200 characters
  symbol,    // AAPL
  symbols,   // AAPL,MSFT
  columns,   // price_date,ma_7_day
  integer,   // between min and max
  time,      // an RFC 3339 instant, or a date
  choice,    // one of choices
  position,  // beginning, end, or an RFC 3339 instant
};

struct Param {
  std::string name;
  ParamType type = ParamType::text;
  std::string description;
  bool required = false;
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::vector<std::string> choices = {};
};

/// A request whose parameters have been checked.
struct Call {
  io::HttpRequest request;
  std::map<std::string, std::string, std::less<>> params;
  warehouse::Connection* warehouse = nullptr;  // set for Runs::with_query

  const std::string* find(std::string_view name) const;
  std::string text(std::string_view name, std::string_view fallback = {}) const;
  std::int64_t integer(std::string_view name, std::int64_t fallback) const;
  std::set<std::string> set(std::string_view name) const;  // of a list with commas
};

/// An instant as a parameter of type `time` gives it.
struct TimeParam {
  Timestamp at;
  bool is_date = false;  // then `at` is midnight UTC of the date
};
std::optional<TimeParam> time_param(const Call& call, std::string_view name);

enum class Runs : std::uint8_t {
  at_once,     // on the server's thread: looks at memory, at most at the newest run
  on_worker,   // on a worker: syncs, other rooms
  with_query,  // on a worker, with a warehouse connection
  as_command,  // on a worker for what may take minutes
};

/// What a route answers when all is well; errors have one shape and need no line.
struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::string schema;  // its name in the description; empty: free text
};

struct Route {
  std::string method;
  std::string path;  // "/api/v1/dags/{dag}/runs"; a name in braces is a Param of that name
  std::string summary;
  Need need = Need::read;
  Runs runs = Runs::at_once;
  bool before_ready = false;  // served while log and warehouse are still opening
  bool from_tables = false;   // parameters and tables alone decide the answer: it may be kept
  std::vector<Param> params = {};
  std::size_t body_bytes_max = 0;
  std::string body_type = {};    // empty: takes no body
  std::string body_schema = {};  // as Answer::schema
  Answer success = {};
  std::vector<Answer> others = {};  // further answers that are no errors of the common shape
  std::vector<int> failures = {};   // statuses beyond those that its other fields imply

  /// One of the two.
  std::function<Result<io::HttpResponse>(Call&)> answer = {};
  std::function<void(Call, io::HttpReply)> take_over = {};
};

/// The route of a request and what the braces stood for.
struct Match {
  const Route* route = nullptr;
  std::map<std::string, std::string, std::less<>> params;
  std::string allow;  // the methods of that path, where only the method has no route
};
Match find_route(const std::vector<Route>& routes, std::string_view method,
                 const io::HttpTarget& target);

/// Adds the query's parameters to `params` and checks all of them.
/// errors: invalid_argument, naming the parameter and what it should be
Status check_params(const Route& route, const io::HttpTarget& target,
                    std::map<std::string, std::string, std::less<>>& params);

/// {"error":...} with the status that fits the code.
io::HttpResponse error_response(const Error& error);
int status_of(ErrorCode code);

io::HttpResponse json_response(std::string json);

/// The OpenAPI 3.1 description of the routes.
text::Value describe(const std::vector<Route>& routes);

/// The JSON schemas that `Answer::schema` and `Route::body_schema` name.
std::string_view api_schemas();

}  // namespace tapeline::serve
