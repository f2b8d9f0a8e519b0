// Goal: the API as a client meets it, over real sockets, and what it does under strain.
// Method: the whole of serve around a log in memory and an in-memory warehouse; the test's
// threads are those that app would have.

#include "serve/api.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fmt/format.h>

#include <condition_variable>
#include <thread>

#include "io/http_testing.h"
#include "serve/memory_log_testing.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::serve {
namespace {

using namespace std::chrono_literals;

class FakeCommands final : public Commands {
 public:
  text::Value status() override {
    return text::Object{{"feed", text::Object{{"name", "none"}}}, {"lag", 3}};
  }
  std::optional<std::string> problem() override { return broken.copy(); }
  Result<text::Value> dags() override {
    return text::Value(text::Object{{"dags", text::List{text::Object{{"id", "d"}}}}});
  }
  Result<text::Value> runs(const std::string& dag) override { return find(dag); }
  Result<text::Value> tasks(const std::string& dag, const std::string&) override {
    return find(dag);
  }
  Result<text::Value> task_log(const std::string& dag, const std::string&,
                               const std::string&) override {
    return find(dag);
  }
  Result<text::Value> act(const DagRequest& request) override { return find(request.dag); }
  Result<text::Value> followed() override {
    return text::Value(
        text::Object{{"followed", text::List{text::Object{{"symbol", "A"}, {"path", "stream"}}}}});
  }
  Result<text::Value> follow(const std::vector<std::string>& symbols) override {
    if (symbols[0] == "no symbol") return Error{ErrorCode::invalid_argument, "no symbol", ""};
    return followed();
  }
  Result<text::Value> unfollow(const std::string& symbol) override {
    if (symbol != "A") return Error{ErrorCode::not_found, "not followed", ""};
    return followed();
  }
  Lane lane(const CommandLine& line) override {
    if (line.argv[0] == "wait") return Lane::endless;
    return line.argv[0] == "member" ? Lane::member : Lane::command;
  }
  Result<int> run(const CommandLine& line, const CommandOutput& output,
                  std::stop_token stop) override {
    if (line.argv[0] == "wait") {
      output(false, "waiting\n");
      std::mutex mutex;
      std::unique_lock lock(mutex);
      std::condition_variable_any never;
      never.wait(lock, stop, [] { return false; });
      stopped.notify();
      return Error{ErrorCode::cancelled, "stopped", ""};
    }
    if (line.argv[0] == "flood")
      for (int i = 0; i < 60; ++i)
        if (!output(false, std::string(100'000, 'x'))) return 2;
    output(false, line.cwd);
    output(true, "\xff");
    return 1;
  }

  Wakeup stopped;
  Guarded<std::optional<std::string>> broken;

 private:
  static Result<text::Value> find(const std::string& dag) {
    if (dag == "d") return text::Value(text::Object{{"run_id", "r"}});
    return Error{ErrorCode::not_found, "there is no such DAG", ""};
  }
};

class ApiTest : public testing::Test {
 protected:
  void SetUp() override {
    warehouse_ = *warehouse::DuckDbWarehouse::open(*clock_, {});
    ASSERT_TRUE(log_.create_topic("stock_prices", 2));
    log_.appended_at = clock_->now();
  }
  void TearDown() override {
    threads_.clear();
    server_.reset();
  }

  void start(bool ready = true, Api::Options options = {.tokens = {.local = "secret"}}) {
    api_ = std::make_unique<Api>(*clock_, wakeup_, metrics_, commands_, pages_, std::move(options));
    server_ = std::make_unique<io::RunningServer>(
        *clock_, *api_, io::HttpServer::Options{.socket_path = testing::TempDir() + "tl_api.sock"});
    if (ready) make_ready();
    threads_.emplace_back([this](std::stop_token stop) {
      while (!stop.stop_requested()) {
        const auto seen = wakeup_.count();
        const auto more = api_->step();
        if (!more || !*more) wakeup_.wait(seen, api_->next_step() - clock_->uptime(), stop);
      }
    });
    start_command_worker(Lane::command);
  }
  void start_command_worker(Lane lane) {
    threads_.emplace_back([this, lane](std::stop_token stop) {
      ApiWorker worker(*api_);
      while (worker.step_command(lane, stop)) {
      }
    });
  }
  void start_worker() {
    threads_.emplace_back([this](std::stop_token stop) {
      ApiWorker worker(*api_);
      while (worker.step(stop)) {
      }
    });
  }
  void make_ready() { api_->set_ready({log_, *warehouse_, *calendar_, {.since = clock_->now()}}); }

  io::HttpResponse call(io::HttpCall what) {
    const auto response = io::http_call(server_->address, what, 10s);
    EXPECT_TRUE(response) << response.error().message;
    return response ? *response : io::HttpResponse{0, {}, ""};
  }
  io::HttpResponse get(std::string target) { return call({.target = std::move(target)}); }
  io::HttpResponse post(std::string target, std::string body, io::HttpHeaders headers = {}) {
    headers.emplace_back("Content-Type", "application/x-ndjson");
    headers.emplace_back("Authorization", "Bearer secret");
    return call({"POST", std::move(target), std::move(headers), std::move(body)});
  }

  static std::string message(std::string_view symbol, int price, std::string_view time) {
    return fmt::format(R"({{"symbol":"{}","price":{},"timestamp":"{}","data_source":"replay"}})",
                       symbol, price, time);
  }
  void append(std::string_view symbol, int price, std::string_view time) {
    const msglog::Record record{std::string(symbol), message(symbol, price, time)};
    ASSERT_TRUE(log_.append("stock_prices", {&record, 1}));
    wakeup_.notify();
  }
  std::string stream_request(std::string_view query = "", std::string_view headers = "") {
    return fmt::format("GET /api/v1/stream{} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", query,
                       headers);
  }

  std::unique_ptr<Clock> clock_ = make_system_clock();
  Wakeup wakeup_;
  telemetry::Metrics metrics_;
  FakeCommands commands_;
  const std::vector<EmbeddedFile> pages_ = {{"index.html", "<p>page</p>"}};
  std::shared_ptr<const Calendar> calendar_ = *make_calendar("XNYS");
  MemoryLog log_;
  std::unique_ptr<warehouse::DuckDbWarehouse> warehouse_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<io::RunningServer> server_;
  std::vector<std::jthread> threads_;
};

TEST_F(ApiTest, before_it_is_ready_the_page_loads_and_the_rest_says_how_far_it_is) {
  start(false);
  start_worker();
  api_->set_starting("opening the warehouse", 0.5);
  EXPECT_EQ(get("/").body, "<p>page</p>");
  EXPECT_EQ(get("/-/healthy").body, "ok");
  const auto waiting = get("/-/ready");
  EXPECT_EQ(waiting.status, 503);
  EXPECT_EQ(waiting.body, R"({"ready":false,"reason":"opening the warehouse","progress":0.5})");
  for (const char* target : {"/api/v1/quotes", "/api/v1/stream", "/api/v1/topics"}) {
    const auto refused = get(target);
    EXPECT_EQ(refused.status, 503);
    EXPECT_NE(refused.body.find("opening the warehouse"), std::string::npos);
    EXPECT_NE(io::find_header(refused.headers, "Retry-After"), nullptr);
  }
  make_ready();
  EXPECT_EQ(get("/-/ready").body, R"({"ready":true})");
  EXPECT_EQ(get("/api/v1/topics").status, 200);
  commands_.broken.with([](auto& why) { why = "the disk is full"; });
  const auto broken = get("/-/ready");
  EXPECT_EQ(broken.status, 503);
  EXPECT_EQ(broken.body, R"({"ready":false,"reason":"the disk is full","progress":null})");
}

TEST_F(ApiTest, answers_each_question_in_json_with_the_headers_that_keep_a_page_safe) {
  start();
  start_worker();
  EXPECT_EQ(get("/api/v1/symbols").body,
            R"({"symbols":[],"followed":[{"symbol":"A","path":"stream"}]})");
  EXPECT_EQ(get("/api/v1/quotes").body, R"({"quotes":[]})");
  EXPECT_EQ(get("/api/v1/dags/d/runs").body, R"({"run_id":"r"})");
  EXPECT_EQ(get("/api/v1/dags/d").body, R"({"id":"d"})");
  EXPECT_EQ(get("/api/v1/dags/x").status, 404);
  EXPECT_EQ(get("/api/v1/bars?symbol=A&interval=1m").status, 200);
  const auto status = get("/api/v1/status");
  EXPECT_NE(status.body.find(R"("calendar":"XNYS")"), std::string::npos) << status.body;
  EXPECT_NE(status.body.find(R"("last_event_time":null)"), std::string::npos) << status.body;
  EXPECT_NE(io::find_header(status.headers, "Content-Security-Policy"), nullptr);
  EXPECT_EQ(io::find_header(status.headers, "Access-Control-Allow-Origin"), nullptr);
  EXPECT_NE(get("/metrics").body.find("tapeline_serve_requests_total"), std::string::npos);
}

// Two readers keep asking, so that answers are kept whenever they can be; each write is told of
// before the question that must see it.
TEST_F(ApiTest, no_request_that_comes_after_a_commit_gets_rows_of_before) {
  start();
  start_worker();
  start_worker();
  const auto writer = *warehouse_->connect();
  const auto run = [&](std::string_view sql) { ASSERT_TRUE(writer->execute(sql)) << sql; };
  run("create schema if not exists marts_stocks; create table marts_stocks.stock_analytics as "
      "select 'A' as "
      "symbol, "
      "date '2025-01-06' as price_date, 0::bigint as load_id");
  const std::string target = "/api/v1/analytics?symbol=A";
  for (int i = 0; i < 2; ++i)
    threads_.emplace_back([&](std::stop_token stop) {
      while (!stop.stop_requested()) (void)io::http_call(server_->address, {.target = target}, 10s);
    });
  const auto shown = [&](int load_id) {
    return get(target).body.ends_with(fmt::format(R"("load_id":{}}})", load_id));
  };
  for (int i = 1; i <= 50; ++i) {
    run(fmt::format("update marts_stocks.stock_analytics set load_id = {}", i));
    EXPECT_TRUE(shown(i));
    run("begin");
    run("update marts_stocks.stock_analytics set load_id = -1");
    EXPECT_TRUE(shown(i));
    run(i % 2 ? "rollback" : "commit");
    EXPECT_TRUE(shown(i % 2 ? i : -1));

    const auto gaps = [&] {
      int found = 0;
      const std::string body = get("/api/v1/bars?symbol=A&interval=1m").body;
      for (auto at = body.find("cause"); at != std::string::npos; at = body.find("cause", at + 1))
        ++found;
      return found;
    };
    run("begin; insert into raw_stocks.gaps values ('f', 'A', now(), now(), 'mute', null)");
    EXPECT_EQ(gaps(), i - 1);
    run("commit");
    EXPECT_EQ(gaps(), i);
  }
  threads_.resize(threads_.size() - 2);  // now it is quiet
  const auto& cached = metrics_.counter("tapeline_serve_answers_cached_total", "");
  EXPECT_TRUE(shown(-1));
  const auto before = cached.value();
  EXPECT_TRUE(shown(-1));
  EXPECT_EQ(cached.value(), before + 1);
}

TEST_F(ApiTest, wrong_questions_are_told_what_is_wrong) {
  start();
  EXPECT_EQ(get("/api/v1/bars?symbol=A&interval=2m").status, 400);
  EXPECT_EQ(get("/api/v1/bars?symbol=A'&interval=1m").status, 400);
  for (const char* columns : {"", "a,a", "a,,b", "A", "a;b", "a%22"})
    EXPECT_EQ(get(fmt::format("/api/v1/analytics?columns={}", columns)).status, 400) << columns;
  EXPECT_EQ(get("/api/v1/nothing").status, 404);
  EXPECT_EQ(get("/nothing").status, 404);
  EXPECT_EQ(get("/%2e%2e/%2e%2e/etc/passwd").status, 400);
  const auto wrong = call({.method = "DELETE", .target = "/api/v1/quotes"});
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(*io::find_header(wrong.headers, "Allow"), "GET, HEAD");
}

TEST_F(ApiTest, symbols_are_followed_and_followed_no_longer) {
  start();
  start_worker();
  const io::HttpHeaders writes = {{"Content-Type", "application/json"},
                                  {"Authorization", "Bearer secret"}};
  const std::string followed = R"("followed":[{"symbol":"A","path":"stream"}])";
  EXPECT_NE(get("/api/v1/symbols").body.find(followed), std::string::npos);
  const auto follow = [&](std::string body) {
    return call({"POST", "/api/v1/symbols", writes, std::move(body)});
  };
  EXPECT_EQ(follow(R"({"symbols":["A"]})").body, "{" + followed + "}");
  for (const char* wrong : {"{}", R"({"symbols":[]})", R"({"symbols":"A"})", "[", "null",
                            R"({"symbols":["no symbol"]})"}) {
    EXPECT_EQ(follow(wrong).status, 400) << wrong;
  }
  EXPECT_EQ(call({"POST", "/api/v1/symbols", {{"Content-Type", "application/json"}}, "{}"}).status,
            401);
  EXPECT_EQ(call({"DELETE", "/api/v1/symbols/A", writes, ""}).status, 200);
  EXPECT_EQ(call({"DELETE", "/api/v1/symbols/B", writes, ""}).status, 404);
}

TEST_F(ApiTest, lines_are_appended_and_their_places_answered) {
  start();
  start_worker();
  const auto done = post("/api/v1/topics/stock_prices/records",
                         message("A", 1, "2025-01-06T15:00:00Z") + "\nother\n");
  EXPECT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(done.body, R"({"records":[{"partition":1,"offset":0},{"partition":0,"offset":0}]})");
  const auto back = get("/api/v1/topics/stock_prices/records?partition=1");
  EXPECT_NE(back.body.find(R"("key":"A","value":"{\"symbol\":\"A\")"), std::string::npos)
      << back.body;
  EXPECT_NE(back.body.find(R"("next":1,"earliest":0,"end":1)"), std::string::npos);
  EXPECT_EQ(get("/api/v1/topics/stock_prices/records?partition=2").status, 404);
  EXPECT_EQ(get("/api/v1/topics/stock_prices/records?offset=9").status, 400);
  EXPECT_EQ(get("/api/v1/topics/stock_prices/records?offset=0&from=end").status, 400);
}

TEST_F(ApiTest, what_cannot_be_appended_is_refused_with_its_reason) {
  start();
  start_worker();
  const std::string target = "/api/v1/topics/stock_prices/records";
  EXPECT_EQ(call({"POST", target, {{"Content-Type", "application/json"}}, "x"}).status, 401);
  EXPECT_EQ(post(target, "x", {{"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(call({"POST", target, {{"Authorization", "Bearer secret"}}, "x"}).status, 415);
  EXPECT_EQ(post(target, "").status, 400);
  EXPECT_EQ(post("/api/v1/topics/none/records", "x").status, 404);
  EXPECT_EQ(post(target, std::string((8 << 20) + 1, 'x')).status, 413);
  log_.failure = Error{ErrorCode::unavailable, "the disk is full", ""};
  const auto full = post(target, "x");
  EXPECT_EQ(full.status, 503);
  EXPECT_NE(io::find_header(full.headers, "Retry-After"), nullptr);
}

TEST_F(ApiTest, more_requests_than_can_wait_are_sent_away) {
  start(true, {.tokens = {.local = "secret"}, .jobs_max = 1});
  io::RawConnection first(server_->address.port);
  first.send("GET /api/v1/topics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while (metrics_.text().find("tapeline_serve_jobs_waiting 1") == std::string::npos)
    std::this_thread::yield();
  EXPECT_EQ(get("/api/v1/topics").status, 503);
  start_worker();
  EXPECT_NE(first.read_until("stock_prices").find("200 OK"), std::string::npos);
}

TEST_F(ApiTest, a_stream_begins_with_every_value_and_goes_on_with_each_change) {
  append("A", 100, "2025-01-06T15:00:00Z");
  append("B", 200, "2025-01-06T15:00:00Z");
  start();
  while (get("/api/v1/quotes").body.find("\"B\"") == std::string::npos) std::this_thread::yield();
  io::RawConnection reader(server_->address.port);
  reader.send(stream_request());
  reader.read_until("\"price\":100");
  reader.read_until("\"price\":200");
  append("A", 101, "2025-01-06T15:00:01Z");
  const std::string& got = reader.read_until("\"price\":101");
  EXPECT_NE(got.find("Content-Type: text/event-stream"), std::string::npos);
  EXPECT_NE(got.find("event: quote\nid: " + std::string(32, 'a') + ":1,1=2\ndata: "),
            std::string::npos)
      << got;
  EXPECT_NE(got.find(R"("quote_count":2)"), std::string::npos);
  EXPECT_EQ(got.find("spark"), std::string::npos);
  api_->publish_run({.dag = "d", .run_id = "r", .state = "success", .symbols = {"A"}});
  reader.read_until(R"(data: {"dag":"d","run_id":"r","state":"success","loaded":0,"from":null,)");
  const Timestamp begin = parse_rfc3339("2025-01-06T15:00:00Z")->at;
  api_->publish_gap({.feed = "finnhub",
                     .symbol = "*",
                     .start = begin,
                     .end = begin + 1min,
                     .cause = "disconnect",
                     .healed_at = std::nullopt});
  reader.read_until(
      R"(event: feed_gap
data: {"feed":"finnhub","symbol":"*","start":"2025-01-06T15:00:00Z",)"
      R"("end":"2025-01-06T15:01:00Z","cause":"disconnect","healed_at":null})");
}

TEST_F(ApiTest, a_reconnect_gets_what_changed_since_and_a_gap_for_what_is_not_kept) {
  append("A", 100, "2025-01-06T15:00:00Z");
  append("B", 200, "2025-01-06T15:00:00Z");
  start();
  while (get("/api/v1/quotes").body.find("\"B\"") == std::string::npos) std::this_thread::yield();
  append("B", 201, "2025-01-06T15:00:01Z");
  while (get("/api/v1/quotes").body.find("201") == std::string::npos) std::this_thread::yield();
  api_->publish_run({.dag = "d", .run_id = "r", .state = "success"});
  io::RawConnection reader(server_->address.port);
  reader.send(stream_request(
      "", "Last-Event-ID: " + std::string(32, 'a') + ":1,1=1\r\n"));  // B is in partition 0
  const std::string& got = reader.read_until("\"price\":201");
  EXPECT_NE(got.find("event: gap\ndata: {\"stream\":\"run\",\"missed\":1}"), std::string::npos);
  EXPECT_EQ(got.find("\"symbol\":\"A\""), std::string::npos) << got;
}

// A topic keeps its id in a backup, and where it has lost its end.
TEST_F(ApiTest, a_reconnect_from_beyond_the_logs_end_gets_everything_anew) {
  append("A", 100, "2025-01-06T15:00:00Z");
  start();
  while (get("/api/v1/quotes").body.find("\"A\"") == std::string::npos) std::this_thread::yield();
  api_->publish_run({.dag = "d", .run_id = "r", .state = "success"});
  for (const char* place : {":0,1=2", ":9,1=0", ":0", ":0,1=1,2=5"}) {
    io::RawConnection reader(server_->address.port);
    reader.send(stream_request("", "Last-Event-ID: " + std::string(32, 'a') + place + "\r\n"));
    const std::string& got = reader.read_until("\"price\":100");
    EXPECT_NE(got.find("event: gap\ndata: {\"stream\":\"run\",\"missed\":1}"), std::string::npos)
        << place << got;
  }
  io::RawConnection reader(server_->address.port);
  reader.send(stream_request("", "Last-Event-ID: " + std::string(32, 'a') + ":0,1=999999999\r\n"));
  reader.read_until("\"price\":100");
  append("A", 101, "2025-01-06T15:00:01Z");
  reader.read_until("\"price\":101");
}

TEST_F(ApiTest, a_stalled_reader_costs_no_memory_and_then_gets_the_newest_value) {
  start();
  io::RawConnection reader(server_->address.port, 4096);
  reader.send(stream_request());
  reader.read_until("event: status");
  const auto coalesced = [&] {
    return metrics_.counter("tapeline_serve_sse_values_coalesced_total", "").value();
  };
  const Timestamp begin = parse_rfc3339("2025-01-06T15:00:00Z")->at;
  int price = 1000;
  const auto& read = metrics_.counter("tapeline_serve_live_records_total", "");
  while (coalesced() < 100 && price < 100'000) {
    const std::int64_t before = read.value();
    append("A", ++price, format_rfc3339(begin + std::chrono::milliseconds(price)));
    while (read.value() == before) std::this_thread::yield();  // each is an event of its own
  }
  ASSERT_GE(coalesced(), 100);
  append("A", 999'999, "2025-01-06T16:00:00Z");
  const std::string& got = reader.read_until("\"price\":999999");
  EXPECT_LT(got.size(), 16U << 20);
}

TEST_F(ApiTest, a_thousand_idle_readers_all_get_the_next_value) {
  constexpr std::size_t kReaders = 1000;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
  ::setrlimit(RLIMIT_NOFILE, &files);
  start();
  std::vector<std::unique_ptr<io::RawConnection>> readers;
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers.push_back(std::make_unique<io::RawConnection>(server_->address.port));
    readers.back()->send(stream_request());
  }
  for (auto& reader : readers) reader->read_until("event: status");
  append("A", 7, "2025-01-06T15:00:00Z");
  for (auto& reader : readers) reader->read_until("\"price\":7");
  EXPECT_EQ((*server_)->connections(), kReaders);
  readers.clear();
  while ((*server_)->connections() > 0) std::this_thread::yield();
  EXPECT_NE(metrics_.text().find("tapeline_serve_sse_readers 0"), std::string::npos);
}

TEST_F(ApiTest, commands_run_over_the_socket_and_their_output_streams) {
  start();
  const io::HttpAddress socket{.socket_path = testing::TempDir() + "tl_api.sock"};
  std::vector<std::string> lines;
  const auto collect = [&](std::string_view line) {
    lines.emplace_back(line);
    return true;
  };
  const io::HttpCall hello{"POST", "/api/v1/commands", {}, R"({"argv":["hello"],"cwd":"/c"})"};
  ASSERT_TRUE(io::http_lines(socket, hello, 10s, {}, collect));
  EXPECT_EQ(lines, (std::vector<std::string>{R"({"out":"/c"})", R"({"err_base64":"/w=="})",
                                             R"({"exit":1})"}));
  EXPECT_EQ(io::http_call(server_->address, hello, 10s)->status, 403);
  EXPECT_EQ(io::http_call(socket, {"POST", "/api/v1/commands", {}, "{}"}, 10s)->status, 400);

  std::size_t bytes = 0;
  ASSERT_TRUE(io::http_lines(socket, {"POST", "/api/v1/commands", {}, R"({"argv":["flood"]})"}, 10s,
                             {}, [&](std::string_view line) {
                               bytes += line.size();
                               return true;
                             }));
  EXPECT_GT(bytes, 6'000'000U);
}

TEST_F(ApiTest, commands_that_never_end_are_few_and_keep_no_member_waiting) {
  start(true, {.tokens = {.local = "secret"}, .endless_max = 1});
  start_command_worker(Lane::member);
  const io::HttpAddress socket{.socket_path = testing::TempDir() + "tl_api.sock"};
  const auto command = [](std::string_view word) {
    return io::HttpCall{"POST", "/api/v1/commands", {}, fmt::format(R"({{"argv":["{}"]}})", word)};
  };
  // The only worker for commands is taken while this one is served.
  std::stop_source enough;
  const auto first =
      io::http_lines(socket, command("wait"), 10s, enough.get_token(), [&](std::string_view) {
        const auto second = io::http_call(socket, command("wait"), 10s);
        EXPECT_EQ(second->status, 503);
        EXPECT_NE(second->body.find("go on until they are stopped"), std::string::npos);
        EXPECT_EQ(io::http_call(socket, command("member"), 10s)->status, 200);
        enough.request_stop();
        return true;
      });
  EXPECT_FALSE(first);
  EXPECT_EQ(io::http_call(socket, command("hello"), 10s)->status,
            200);  // after the first has ended
  int status = 0;
  (void)io::http_lines(socket, command("wait"), 10s, {}, [&](std::string_view line) {
    status = line.starts_with(R"({"out")") ? 200 : 503;
    return false;
  });
  EXPECT_EQ(status, 200);
}

TEST_F(ApiTest, a_client_that_goes_away_cancels_its_command) {
  start();
  const auto seen = commands_.stopped.count();
  const auto gone = io::http_lines({.socket_path = testing::TempDir() + "tl_api.sock"},
                                   {"POST", "/api/v1/commands", {}, R"({"argv":["wait"]})"}, 10s,
                                   {}, [](std::string_view) { return false; });
  EXPECT_FALSE(gone);
  EXPECT_GT(commands_.stopped.wait(seen, 10s, {}), seen);
}

TEST_F(ApiTest, a_browser_logs_in_by_the_link_that_was_printed) {
  start();
  start_worker();
  api_->access().allow_once("code");
  const auto done = get("/-/login?code=code");
  EXPECT_EQ(done.status, 303);
  const std::string cookie = *io::find_header(done.headers, "Set-Cookie");
  const auto written =
      call({"POST",
            "/api/v1/dags/d/trigger",
            {{"Content-Type", "application/json"}, {"Cookie", cookie.substr(0, cookie.find(';'))}},
            ""});
  EXPECT_EQ(written.status, 200) << written.body;
}

TEST_F(ApiTest, the_description_names_every_address_and_no_other) {
  start();
  const auto description = text::parse_json(get("/openapi.json").body);
  ASSERT_TRUE(description);
  EXPECT_EQ(description->find("paths")->as_object().size(), 28U);
  for (const auto& [path, operations] : description->find("paths")->as_object())
    for (const auto& [method, operation] : operations.as_object())
      for (const auto& [status, response] : operation.find("responses")->as_object())
        if (const auto* content = response.find("content"))
          for (const auto& [type, body] : content->as_object()) {
            const std::string ref = body.find("schema")->string_or("$ref", "");
            if (ref.empty()) continue;
            EXPECT_NE(description->find("components")
                          ->find("schemas")
                          ->find(ref.substr(ref.rfind('/') + 1)),
                      nullptr)
                << path << method << status << ref;
          }
}

TEST_F(ApiTest, every_schema_that_the_description_refers_to_is_there) {
  start();
  const std::string body = get("/openapi.json").body;
  const auto description = text::parse_json(body);
  ASSERT_TRUE(description);
  const auto& schemas = *description->find("components")->find("schemas");
  const std::string_view prefix = "\"#/components/schemas/";
  std::size_t references = 0;
  for (std::size_t at = body.find(prefix); at != std::string::npos; at = body.find(prefix, at)) {
    at += prefix.size();
    const std::string name = body.substr(at, body.find('"', at) - at);
    EXPECT_NE(schemas.find(name), nullptr) << name;
    ++references;
  }
  EXPECT_GT(references, 50U);
}

}  // namespace
}  // namespace tapeline::serve
