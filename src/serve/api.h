// Api: everything that tapeline says over HTTP, behind one handler.
//
// It takes part in the process from the first moment: before log and warehouse are open it
// serves the page, its health, and a clear 503 for the rest. What needs time goes through
// bounded queues to workers, so that the server's thread never waits. app runs the parts:
//
//   http-0     io::HttpServer::run      all sockets, and answers from memory (the status, a
//                                       stream's first event with it, reads the newest run)
//   http-1     Api::step                follows the topic, feeds the streams
//   http-2..n  ApiWorker::step          queries and appends, one at a time
//   command-n  ApiWorker::step_command  commands of the command line, one at a time
//   member-n   ApiWorker::step_command  what other processes of the directory ask

#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bounded_queue.h"
#include "base/embedded_file.h"
#include "base/guarded.h"
#include "base/wakeup.h"
#include "io/http_server.h"
#include "serve/access.h"
#include "serve/answer_cache.h"
#include "serve/commands.h"
#include "serve/live.h"
#include "serve/route.h"
#include "serve/sse.h"
#include "telemetry/metrics.h"
#include "warehouse/warehouse.h"

namespace tapeline::serve {

/// What a run that wrote marts touched.
struct RunEvent {
  std::string dag;
  std::string run_id;
  std::string state;
  std::int64_t loaded = 0;
  std::optional<Date> from;
  std::optional<Date> to;
  std::vector<std::string> symbols;
};

/// A stretch of time that a feed did not deliver, as it stands now.
struct FeedGapEvent {
  std::string feed;
  std::string symbol;  // "*": all of the feed's
  Timestamp start;
  Timestamp end;
  std::string cause;
  std::optional<Timestamp> healed_at;  // none: it goes on
};

/// What is there once the data directory is open. Outlives the Api.
struct Backend {
  msglog::MessageLog& log;
  warehouse::Warehouse& warehouse;
  const Calendar& calendar;
  Live::Options live;
};

/// threads: any, but `step` one at a time
/// owns:    nothing that its constructor takes
class Api final : public io::HttpHandler {
 public:
  struct Options {
    Access::Tokens tokens;
    std::size_t jobs_max = 256;               // requests that wait for a worker, members' too
    std::size_t job_bytes_max = 64 << 20;     // of their bodies together
    std::size_t commands_max = 8;             // that wait
    int endless_max = 4;                      // commands that never end; more threads than that
    std::size_t answer_bytes_max = 16 << 20;  // of answers that are kept until tables change
  };

  /// `wakeup` is the one that the message log notifies; the Api notifies it too.
  Api(Clock& clock, Wakeup& wakeup, telemetry::Metrics& metrics, Commands& commands,
      const std::vector<EmbeddedFile>& pages, Options options);

  /// What the program is doing before it is ready. `progress` from 0 to 1.
  void set_starting(std::string reason, std::optional<double> progress);

  /// From now on everything is served. Called once.
  void set_ready(const Backend& backend);

  Access& access() { return access_; }

  /// Reads what is new on the topic, tells the streams, and now and then sends the status.
  /// True where there is more to do at once.
  /// errors: those of the log; the next step tries again
  Result<bool> step();

  /// When `step` next has something to do, unless `wakeup` says so before.
  /// units: of Clock::uptime
  Duration next_step() const;

  /// Tells the streams about a stretch that the feed did not deliver: it began, grew or healed.
  void publish_gap(const FeedGapEvent& event);

  /// Tells the streams about a run.
  void publish_run(const RunEvent& event);

  /// Reads the daily closes that prices are compared with. After a start and after each run.
  Status refresh_daily(warehouse::Connection& warehouse);

  Admission admit(const io::HttpRequest& head) override;
  void handle(io::HttpRequest request, io::HttpReply reply) override;

 private:
  friend class ApiWorker;
  struct Starting {
    std::string reason = "tapeline is starting";
    std::optional<double> progress;
  };
  /// The gaps of every symbol, as of a version of the warehouse.
  struct Gaps {
    std::uint64_t version = 0;
    std::shared_ptr<const warehouse::Rows> all;
    bool too_many = false;  // from then on: they are not taken back
  };
  struct Job {
    const Route* route = nullptr;
    Call call;
    io::HttpReply reply;
    CommandLine command = {};
    Lane lane = Lane::command;
  };

  std::vector<Route> make_routes();
  void add_health_routes(std::vector<Route>& routes);
  void add_market_routes(std::vector<Route>& routes);
  void add_topic_routes(std::vector<Route>& routes);
  void add_dag_routes(std::vector<Route>& routes);
  void add_command_routes(std::vector<Route>& routes);

  bool ready() const { return ready_.load(std::memory_order_acquire); }
  std::string status_json(bool with_time) const;
  Result<io::HttpResponse> append(Call& call);
  Result<io::HttpResponse> records(Call& call);
  Result<std::string> newest_load_id(Call& call);
  Result<std::shared_ptr<const warehouse::Rows>> all_gaps(Call& call);
  void open_stream(Call call, io::HttpReply reply);
  void run_command(Job& job, std::stop_token stop);

  BoundedQueue<Job>& queue_of(Lane lane);
  void enqueue(Job job);
  bool answer_from_cache(const Route& route, const Call& call, io::HttpReply& reply);
  void answer(const Route& route, Call call, io::HttpReply reply);
  void finish(const Route* route, io::HttpReply& reply, io::HttpResponse response);

  Clock& clock_;
  Wakeup& wakeup_;
  telemetry::Metrics& metrics_;
  telemetry::Counter& cached_;
  Commands& commands_;
  const std::vector<EmbeddedFile>& pages_;
  const Options options_;
  Access access_;
  SseHub hub_;
  AnswerCache answers_;
  Guarded<Gaps> gaps_;
  Guarded<Starting> starting_;
  std::optional<Backend> backend_;  // this and live_ are set before ready_, and never again
  std::unique_ptr<Live> live_;
  std::atomic<bool> ready_{false};
  BoundedQueue<Job> jobs_;
  BoundedQueue<Job> command_jobs_;
  BoundedQueue<Job> member_jobs_;
  BoundedQueue<Job> load_jobs_;
  std::atomic<int> endless_{0};  // that run, or wait to
  std::atomic<std::size_t> job_bytes_{0};
  Guarded<std::string> status_;  // as last published
  Duration status_at_{0};
  std::vector<Route> routes_;
  std::string description_;  // made by the first who asks; the server's thread only
};

/// Does the jobs of an Api. Holds the warehouse connection of its thread.
///
/// threads: one at a time; make one for each thread
class ApiWorker {
 public:
  explicit ApiWorker(Api& api) : api_(api) {}

  /// Does the next job. False where there is none because of `stop`.
  /// blocks: until there is one; then as long as it takes, a query at most ten seconds
  bool step(std::stop_token stop);

  /// The same for commands of a lane, which end soon after `stop`; `command` is `endless` too.
  bool step_command(Lane lane, std::stop_token stop);

 private:
  Api& api_;
  std::unique_ptr<warehouse::Connection> connection_;
};

}  // namespace tapeline::serve
