#include <fmt/format.h>

#include <algorithm>

#include "serve/api.h"
#include "serve/marts.h"
#include "serve/produce.h"

namespace tapeline::serve {
namespace {

constexpr std::size_t kJsonBodyMax = 64 << 10;
constexpr std::size_t kCommandBodyMax = 1 << 20;

const Param kSymbol{"symbol", ParamType::symbol, "The symbol, as AAPL"};
const Param kSymbols{"symbols", ParamType::symbols, "Only these symbols, as AAPL,MSFT"};
const Param kFrom{"from", ParamType::time, "The beginning: an instant, or a date"};
const Param kTo{"to", ParamType::time, "The end: an instant, not included, or a date, included"};

Param required(Param param) {
  param.required = true;
  return param;
}

Param name_in_path(std::string name, std::string description) {
  return {std::move(name), ParamType::text, std::move(description), true};
}

Result<io::HttpResponse> json_of(Result<text::Value> value) {
  return json_response(text::to_json(TRY(std::move(value))));
}

Result<io::HttpResponse> json_of(Result<std::string> json) {
  return json_response(TRY(std::move(json)));
}

}  // namespace

std::vector<Route> Api::make_routes() {
  std::vector<Route> routes;
  add_health_routes(routes);
  add_market_routes(routes);
  add_topic_routes(routes);
  add_dag_routes(routes);
  add_command_routes(routes);
  return routes;
}

void Api::add_health_routes(std::vector<Route>& routes) {
  routes.push_back({.method = "GET",
                    .path = "/-/healthy",
                    .summary = "Whether the process answers.",
                    .need = Need::nothing,
                    .before_ready = true,
                    .success = {200, "text/plain", ""},
                    .answer = [](Call&) -> Result<io::HttpResponse> {
                      return io::HttpResponse{200, {{"Content-Type", "text/plain"}}, "ok"};
                    }});
  routes.push_back({.method = "GET",
                    .path = "/-/ready",
                    .summary = "Whether log and warehouse are open, and how far they are.",
                    .need = Need::nothing,
                    .before_ready = true,
                    .success = {200, "application/json", "Ready"},
                    .others = {{503, "application/json", "Ready"}},
                    .answer = [this](Call&) -> Result<io::HttpResponse> {
                      Starting starting = starting_.copy();
                      if (ready()) {
                        const auto problem = commands_.problem();
                        if (!problem) return json_response(R"({"ready":true})");
                        starting = {*problem, std::nullopt};
                      }
                      JsonWriter json;
                      json.begin_object()
                          .field("ready", false)
                          .field("reason", starting.reason)
                          .field("progress", starting.progress)
                          .end_object();
                      auto response = json_response(json.take());
                      response.status = 503;
                      response.headers.emplace_back("Retry-After", "1");
                      return response;
                    }});
  routes.push_back(
      {.method = "GET",
       .path = "/metrics",
       .summary = "Metrics in the Prometheus text format.",
       .before_ready = true,
       .success = {200, "text/plain", ""},
       .answer = [this](Call&) -> Result<io::HttpResponse> {
         return io::HttpResponse{
             200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics_.text()};
       }});
  routes.push_back({.method = "GET",
                    .path = "/openapi.json",
                    .summary = "This description.",
                    .need = Need::nothing,
                    .before_ready = true,
                    .success = {200, "application/json", "Object"},
                    .answer = [this](Call&) -> Result<io::HttpResponse> {
                      if (description_.empty()) description_ = text::to_json(describe(routes_));
                      return json_response(description_);
                    }});
  routes.push_back({.method = "GET",
                    .path = "/-/login",
                    .summary = "Logs a browser in by the one-time link that tapeline printed.",
                    .need = Need::nothing,
                    .before_ready = true,
                    .params = {{"code", ParamType::text, "The code of the link", true}},
                    .success = {303, "", ""},
                    .failures = {401},
                    .answer = [this](Call& call) -> Result<io::HttpResponse> {
                      return access_.login_by_code(call.text("code"));
                    }});
  routes.push_back({.method = "POST",
                    .path = "/api/v1/login",
                    .summary = "Logs a browser in by a token.",
                    .need = Need::nothing,
                    .before_ready = true,
                    .body_bytes_max = kJsonBodyMax,
                    .body_type = "application/json",
                    .body_schema = "Login",
                    .success = {204, "", ""},
                    .failures = {401},
                    .answer = [this](Call& call) -> Result<io::HttpResponse> {
                      const auto body = TRY(text::parse_json(call.request.body));
                      return access_.login_by_token(body.string_or("token", ""));
                    }});
}

void Api::add_market_routes(std::vector<Route>& routes) {
  routes.push_back({.method = "GET",
                    .path = "/api/v1/status",
                    .summary = "The state of feed, market, pipeline and data.",
                    .success = {200, "application/json", "Status"},
                    .answer = [this](Call&) -> Result<io::HttpResponse> {
                      return json_response(status_json(true));
                    }});
  routes.push_back(
      {.method = "GET",
       .path = "/api/v1/symbols",
       .summary = "Every symbol that has been seen, sorted; and those that the feed follows.",
       .runs = Runs::with_query,
       .success = {200, "application/json", "Symbols"},
       .answer = [this](Call& call) -> Result<io::HttpResponse> {
         std::vector<std::string> all = TRY(read_symbols(*call.warehouse));
         const auto live = live_->symbols();
         all.insert(all.end(), live.begin(), live.end());
         std::sort(all.begin(), all.end());
         all.erase(std::unique(all.begin(), all.end()), all.end());
         JsonWriter json;
         json.begin_object().key("symbols").begin_list();
         for (const auto& symbol : all) json.value(symbol);
         json.end_list().key("followed");
         const auto followed = TRY(commands_.followed());
         const text::Value* list = followed.find("followed");
         json.value(list ? *list : text::Value(text::List{})).end_object();
         return json_response(json.take());
       }});
  routes.push_back({.method = "POST",
                    .path = "/api/v1/symbols",
                    .summary = "Follows more symbols, from now on and after restarts.",
                    .need = Need::write,
                    .runs = Runs::on_worker,
                    .body_bytes_max = kJsonBodyMax,
                    .body_type = "application/json",
                    .body_schema = "FollowRequest",
                    .success = {200, "application/json", "Followed"},
                    .answer = [this](Call& call) -> Result<io::HttpResponse> {
                      const auto body = TRY(text::parse_json(call.request.body));
                      const text::Value* list = body.find("symbols");
                      std::vector<std::string> names;
                      for (const auto& one :
                           list && list->is_list() ? list->as_list() : text::List{})
                        if (one.is_string()) names.push_back(one.as_string());
                      if (names.empty())
                        return Error{ErrorCode::invalid_argument, "the body names no symbols",
                                     R"(Send {"symbols":["AAPL"]}.)"};
                      return json_of(commands_.follow(names));
                    }});
  routes.push_back({.method = "DELETE",
                    .path = "/api/v1/symbols/{symbol}",
                    .summary = "Follows a symbol no longer; what is there of it stays.",
                    .need = Need::write,
                    .runs = Runs::on_worker,
                    .params = {required(kSymbol)},
                    .body_bytes_max = kJsonBodyMax,
                    .success = {200, "application/json", "Followed"},
                    .failures = {404},
                    .answer = [this](Call& call) -> Result<io::HttpResponse> {
                      return json_of(commands_.unfollow(call.text("symbol")));
                    }});
  routes.push_back({.method = "GET",
                    .path = "/api/v1/quotes",
                    .summary = "What each symbol is worth now.",
                    .params = {kSymbols},
                    .success = {200, "application/json", "Quotes"},
                    .answer = [this](Call& call) -> Result<io::HttpResponse> {
                      return json_response(live_->quotes_json(call.set("symbols")));
                    }});
  routes.push_back(
      {.method = "GET",
       .path = "/api/v1/bars",
       .summary = "Open, high, low, close and volume by time.",
       .runs = Runs::with_query,
       .from_tables = true,
       .params = {required(kSymbol),
                  {.name = "interval",
                   .type = ParamType::choice,
                   .description = "The length of a bar",
                   .required = true,
                   .choices = {"1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"}},
                  kFrom,
                  kTo,
                  {.name = "limit",
                   .type = ParamType::integer,
                   .description = "How many bars at most",
                   .min = 1,
                   .max = kBarsMax}},
       .success = {200, "application/json", "Bars"},
       .answer = [this](Call& call) -> Result<io::HttpResponse> {
         const auto gaps = TRY(all_gaps(call));
         return json_of(read_bars(*call.warehouse,
                                  {.symbol = call.text("symbol"),
                                   .interval = call.text("interval"),
                                   .from = time_param(call, "from"),
                                   .to = time_param(call, "to"),
                                   .limit = call.integer("limit", kBarsDefault)},
                                  gaps.get()));
       }});
  routes.push_back(
      {.method = "GET",
       .path = "/api/v1/analytics",
       .summary = "The daily mart: a symbol's days, or the latest day of each.",
       .runs = Runs::with_query,
       .from_tables = true,
       .params = {kSymbol,
                  kFrom,
                  kTo,
                  {.name = "columns",
                   .type = ParamType::columns,
                   .description = "Which columns, with commas between; all if not given"}},
       .success = {200, "application/json", "Analytics"},
       .answer = [this](Call& call) -> Result<io::HttpResponse> {
         AnalyticsRequest request;
         if (const std::string* symbol = call.find("symbol")) request.symbol = *symbol;
         request.from = time_param(call, "from");
         request.to = time_param(call, "to");
         request.columns = call.text("columns");
         return json_of(read_analytics(*call.warehouse, request, TRY(newest_load_id(call))));
       }});
  routes.push_back({.method = "GET",
                    .path = "/api/v1/messages",
                    .summary = "The messages behind a bar or a day: raw rows with their offsets.",
                    .runs = Runs::with_query,
                    .from_tables = true,
                    .params = {required(kSymbol),
                               kFrom,
                               kTo,
                               {.name = "limit",
                                .type = ParamType::integer,
                                .description = "How many messages at most, the oldest first",
                                .min = 1,
                                .max = kMessagesMax}},
                    .success = {200, "application/json", "Messages"},
                    .answer = [](Call& call) -> Result<io::HttpResponse> {
                      return json_of(read_messages(
                          *call.warehouse, {.symbol = call.text("symbol"),
                                            .from = time_param(call, "from"),
                                            .to = time_param(call, "to"),
                                            .limit = call.integer("limit", kMessagesDefault)}));
                    }});
  routes.push_back({.method = "GET",
                    .path = "/api/v1/stream",
                    .summary = "Quotes, status and runs as they happen, as server-sent events.",
                    .params = {kSymbols,
                               {.name = "interval_ms",
                                .type = ParamType::integer,
                                .description = "The least time between two lots of quotes",
                                .min = 0,
                                .max = 60'000}},
                    .success = {200, "text/event-stream", ""},
                    .take_over = [this](Call call, io::HttpReply reply) {
                      open_stream(std::move(call), std::move(reply));
                    }});
}

void Api::add_topic_routes(std::vector<Route>& routes) {
  const Param topic = name_in_path("topic", "The topic's name");
  routes.push_back(
      {.method = "GET",
       .path = "/api/v1/topics",
       .summary = "Every topic with its partitions.",
       .runs = Runs::on_worker,
       .success = {200, "application/json", "Topics"},
       .answer = [this](Call&) -> Result<io::HttpResponse> {
         JsonWriter json;
         json.begin_object().key("topics").begin_list();
         for (const auto& one : TRY(backend_->log.topics())) {
           json.begin_object().field("name", one.name).field("id", one.id).key("partitions");
           json.begin_list();
           for (std::size_t i = 0; i < one.partitions.size(); ++i)
             json.begin_object()
                 .field("partition", static_cast<std::int64_t>(i))
                 .field("earliest", one.partitions[i].earliest)
                 .field("end", one.partitions[i].end)
                 .field("size_bytes", one.partitions[i].size_bytes)
                 .end_object();
           json.end_list().end_object();
         }
         json.end_list().end_object();
         return json_response(json.take());
       }});
  routes.push_back(
      {.method = "GET",
       .path = "/api/v1/topics/{topic}/records",
       .summary = "Records of a partition.",
       .runs = Runs::on_worker,
       .params = {topic,
                  {.name = "partition",
                   .type = ParamType::integer,
                   .description = "The partition, 0 if not given",
                   .min = 0,
                   .max = 1023},
                  {.name = "offset",
                   .type = ParamType::integer,
                   .description = "The first offset",
                   .min = 0,
                   .max = INT64_MAX},
                  {.name = "from",
                   .type = ParamType::position,
                   .description = "Where to begin, in place of an offset: beginning, end, or when "
                                  "the record was appended"},
                  {.name = "limit",
                   .type = ParamType::integer,
                   .description = "How many records at most",
                   .min = 1,
                   .max = 1000}},
       .success = {200, "application/json", "Records"},
       .failures = {404},
       .answer = [this](Call& call) { return records(call); }});
  routes.push_back({.method = "POST",
                    .path = "/api/v1/topics/{topic}/records",
                    .summary = "Appends records, one a line; answers once they are durable.",
                    .need = Need::write,
                    .runs = Runs::on_worker,
                    .params = {topic},
                    .body_bytes_max = kProduceBytesMax,
                    .body_type = "application/x-ndjson",
                    .success = {200, "application/json", "Positions"},
                    .failures = {404},
                    .answer = [this](Call& call) { return append(call); }});
}

void Api::add_dag_routes(std::vector<Route>& routes) {
  const Param dag = name_in_path("dag", "The DAG's id");
  const Param run = name_in_path("run", "The run's id");
  const Param task = name_in_path("task", "The task's id");
  const auto look = [&](std::string path, std::string summary, std::string schema,
                        std::vector<Param> params, std::function<Result<text::Value>(Call&)> find) {
    routes.push_back({.method = "GET",
                      .path = std::move(path),
                      .summary = std::move(summary),
                      .runs = Runs::on_worker,
                      .params = std::move(params),
                      .success = {200, "application/json", std::move(schema)},
                      .failures = {404},
                      .answer = [find = std::move(find)](Call& call) -> Result<io::HttpResponse> {
                        return json_of(find(call));
                      }});
  };
  look("/api/v1/dags", "Every DAG.", "Dags", {}, [this](Call&) { return commands_.dags(); });
  look("/api/v1/dags/{dag}", "One DAG.", "Dag", {dag}, [this](Call& call) -> Result<text::Value> {
    const auto all = TRY(commands_.dags());
    if (const auto* list = all.find("dags"); list && list->is_list())
      for (const auto& one : list->as_list())
        if (one.string_or("id", "") == call.text("dag")) return one;
    return Error{ErrorCode::not_found, fmt::format("there is no DAG '{}'", call.text("dag")),
                 "GET /api/v1/dags lists them."};
  });
  look("/api/v1/dags/{dag}/runs", "A DAG's runs, newest first.", "Runs", {dag},
       [this](Call& call) { return commands_.runs(call.text("dag")); });
  look("/api/v1/dags/{dag}/runs/{run}/tasks", "A run's tasks.", "Tasks", {dag, run},
       [this](Call& call) { return commands_.tasks(call.text("dag"), call.text("run")); });
  look("/api/v1/dags/{dag}/runs/{run}/tasks/{task}/log", "What a task logged.", "TaskLog",
       {dag, run, task}, [this](Call& call) {
         return commands_.task_log(call.text("dag"), call.text("run"), call.text("task"));
       });
  const auto act = [&](std::string_view path, std::string summary, std::string schema,
                       DagAction action, std::vector<Param> params) {
    routes.push_back({.method = "POST",
                      .path = fmt::format("/api/v1/dags/{{dag}}/{}", path),
                      .summary = std::move(summary),
                      .need = Need::write,
                      .runs = Runs::on_worker,
                      .params = std::move(params),
                      .body_bytes_max = kJsonBodyMax,
                      .success = {200, "application/json", std::move(schema)},
                      .failures = {404, 409, 413},
                      .answer = [this, action](Call& call) -> Result<io::HttpResponse> {
                        return json_of(commands_.act(
                            {.dag = call.text("dag"),
                             .action = action,
                             .run = call.text(action == DagAction::trigger ? "run_id" : "run"),
                             .task = call.text("task"),
                             .state = call.text("state"),
                             .conf = call.text("conf"),
                             .upstream = call.text("upstream") == "true",
                             .downstream = call.text("downstream") == "true",
                             .failed = call.text("failed") == "true"}));
                      }});
  };
  const auto given = [](std::string name, std::string description) {
    return Param{.name = std::move(name), .description = std::move(description)};
  };
  const auto choice = [](std::string name, std::string description, bool required,
                         std::vector<std::string> choices) {
    return Param{.name = std::move(name),
                 .type = ParamType::choice,
                 .description = std::move(description),
                 .required = required,
                 .choices = std::move(choices)};
  };
  const auto yes_no = [&](std::string name, std::string description) {
    return choice(std::move(name), std::move(description), false, {"true", "false"});
  };
  act("trigger", "Queues a run.", "Triggered", DagAction::trigger,
      {dag, given("conf", "The run's parameters, a JSON object"),
       given("run_id", "What the run is to be called")});
  act("pause", "Stops new runs of a DAG.", "Paused", DagAction::pause, {dag});
  act("unpause", "Lets a DAG run again.", "Paused", DagAction::unpause, {dag});
  act("runs/{run}/clear", "Takes tasks' states away: they run again.", "Cleared", DagAction::clear,
      {dag, run, given("task", "This task only"), yes_no("upstream", "And all before it"),
       yes_no("downstream", "And all after it"),
       yes_no("failed", "Of those only what failed, or whose upstream did")});
  act("runs/{run}/mark", "Says that a run, or a task of it, succeeded or failed.", "Run",
      DagAction::mark,
      {dag, run, given("task", "This task instead of the run"),
       choice("state", "What it becomes", true, {"success", "failed"})});
  act("runs/{run}/cancel", "Stops a run that has not ended.", "Run", DagAction::cancel, {dag, run});
}

void Api::add_command_routes(std::vector<Route>& routes) {
  routes.push_back({.method = "POST",
                    .path = "/api/v1/commands",
                    .summary = "Runs a command of the command line; its output streams.",
                    .need = Need::socket,
                    .runs = Runs::as_command,
                    .body_bytes_max = kCommandBodyMax,
                    .body_type = "application/json",
                    .body_schema = "Command",
                    .success = {200, "application/x-ndjson", ""}});
}

}  // namespace tapeline::serve
