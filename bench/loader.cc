// How fast the loader takes a topic into raw, next to what DuckDB's appender takes alone.
//
//   bench_loader FOLDER [MESSAGES] [PAIRS]           measures; FOLDER is made and removed
//   bench_loader fill LOG_FOLDER MESSAGES [A_DAY]    only appends them to the log of a directory
//   bench_loader print MESSAGES [FIRST [A_DAY]]      writes them to stdout, one a line, from FIRST
//   bench_loader csv MESSAGES                        writes them to stdout as a file for import
//
// A_DAY is how many quotes a weekday has; 2160000, a hundred a second, where it is not said.
// Messages are 137 bytes; every append of 10,000 and every commit is synced. The appender gets the
// same columns, ready made, in as many commits. One line of JSON comes for each pair.

#include <string>

#include "app/loop.h"
#include "ingest/loader.h"
#include "ingest/raw_columns.h"
#include "measure.h"
#include "msglog/embedded/embedded_log.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline {
namespace {

struct Bench {
  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<io::FileSystem> files = io::make_file_system();
  std::shared_ptr<const Calendar> calendar = need(make_calendar("XNYS"));
  telemetry::Metrics metrics;
  ingest::LoaderProbe probe{metrics};
  app::AsideLoop reader{"load-reader"};
  std::string folder;

  void fill(msglog::MessageLog& log, std::int64_t messages) {
    std::vector<msglog::Record> records;
    for (std::int64_t i = 0; i < messages;) {
      records.clear();
      for (; i < messages && std::ssize(records) < kMessagesPerAppend; ++i) {
        records.push_back({symbol(i), message(i)});
      }
      need(log.append("stock_prices", records));
    }
  }

  std::unique_ptr<msglog::EmbeddedLog> open_log(const std::string& directory) {
    return need(msglog::EmbeddedLog::open(*files, *clock, {.directory = directory}));
  }

  void run(std::int64_t messages) {
    auto log = open_log(folder + "/log");
    need(log->create_topic("stock_prices", 1));
    Duration began = clock->uptime();
    fill(*log, messages);
    const double append = seconds(clock->uptime() - began);
    auto warehouse =
        need(warehouse::DuckDbWarehouse::open(*clock, {.file = folder + "/stocks_fin.duckdb"}));
    auto connection = need(warehouse->connect());
    ingest::Loader::Options options;
    const std::int64_t per_load = options.records_per_load;
    ingest::Loader loader(*clock, *log, *connection, *calendar, probe, reader, options);
    const auto topic = need(log->topics()).at(0);
    began = clock->uptime();
    double cpu = cpu_seconds();
    need(loader.load({{"stock_prices", 0}, topic.id, 0, messages}, "bench"));
    const double load = seconds(clock->uptime() - began);
    const double load_cpu = cpu_seconds() - cpu;

    const auto rows = need(connection->query("select count(*) from raw_stocks.stock_prices"));
    if (std::get<std::int64_t>(rows.rows[0][0]) != messages) std::abort();
    need(connection->execute(
        "create table appended as select * from raw_stocks.stock_prices limit 0"));
    need(connection->execute("checkpoint"));
    double bare = 0;
    double bare_cpu = 0;
    for (std::int64_t first = 0; first < messages; first += per_load) {
      const Columns columns(first, std::min(messages, first + per_load), first / per_load + 1);
      began = clock->uptime();
      cpu = cpu_seconds();
      need(connection->execute("begin transaction"));
      need(connection->append("main", "appended", columns.batch));
      need(connection->execute("commit"));
      bare += seconds(clock->uptime() - began);
      bare_cpu += cpu_seconds() - cpu;
    }
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto rate = [&](double time) { return double(messages) / time; };
    fmt::print(
        R"({{"messages":{},"bytes":{},"append_per_s":{:.0f},"load_per_s":{:.0f},"load_cpu_us":{:.3f},"appender_per_s":{:.0f},)"
        R"("appender_cpu_us":{:.3f},"peak_mb":{}}})"
        "\n",
        messages, message(0).size(), rate(append), rate(load), load_cpu / double(messages) * 1e6,
        rate(bare), bare_cpu / double(messages) * 1e6, used.ru_maxrss / 1024);
  }

  /// What raw holds of messages [first, end), made without reading any.
  struct Columns {
    warehouse::ColumnBatch batch;
    std::vector<std::string> symbols;

    Columns(std::int64_t first, std::int64_t end, std::int64_t load_id) {
      for (int i = 0; i < kSymbols; ++i) symbols.push_back(symbol(i));
      const auto rows = static_cast<std::size_t>(end - first);
      batch.rows = rows;
      const auto integers = [&](auto value_of) {
        std::vector<std::int64_t> values(rows);
        for (std::size_t i = 0; i < rows; ++i) values[i] = value_of(first + std::int64_t(i));
        batch.columns.push_back({std::move(values), {}});
      };
      const auto constant = [&](std::int64_t value) {
        integers([value](std::int64_t) { return value; });
      };
      const auto nulls = [&] {
        batch.columns.push_back(
            {std::vector<std::int64_t>(rows), std::vector<std::uint8_t>(rows, 0)});
      };
      std::vector<std::string_view> names(rows);
      for (std::size_t i = 0; i < rows; ++i) {
        names[i] = symbols[static_cast<std::size_t>(first + std::int64_t(i)) % kSymbols];
      }
      batch.columns.push_back({std::move(names), {}});
      integers([](std::int64_t i) { return (100 + i % 10) * 1'000'000 + i * 7919 % 100 * 10'000; });
      integers([](std::int64_t i) { return i % 900 + 100; });
      integers([](std::int64_t i) { return kStart + i * 10'000; });
      constant(110'500'000);
      constant(99'500'000);
      constant(101'000'000);
      batch.columns.push_back({std::vector<std::string_view>(rows, "replay"), {}});
      nulls();      // previous_close
      constant(1);  // session
      nulls();      // bar_length
      integers([](std::int64_t i) { return kStart / 86'400'000'000 + i / 2'160'000; });
      integers([](std::int64_t i) { return 10 + i / 360'000 % 6; });
      nulls();                                                                      // received_at
      integers([](std::int64_t i) { return 1'795'300'000'000'000 + i / 10'000; });  // appended_at
      integers([](std::int64_t i) { return i; });
      constant(load_id);
    }
  };
};

}  // namespace
}  // namespace tapeline

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr,
               "bench_loader FOLDER [MESSAGES] [PAIRS]\nbench_loader fill LOG_FOLDER "
               "MESSAGES [A_DAY]\nbench_loader print MESSAGES [FIRST [A_DAY]]\n"
               "bench_loader csv MESSAGES\n");
    return 2;
  }
  if (argc >= 4 && argv[1] == std::string_view("fill")) {
    if (argc == 5) tapeline::quotes_a_day = std::atoll(argv[4]);
    tapeline::Bench bench;
    bench.fill(*bench.open_log(argv[2]), std::atoll(argv[3]));
    return 0;
  }
  if (argc >= 3 && argv[1] == std::string_view("print")) {
    const std::int64_t first = argc > 3 ? std::atoll(argv[3]) : 0;
    const std::int64_t end = first + std::atoll(argv[2]);
    if (argc == 5) tapeline::quotes_a_day = std::atoll(argv[4]);
    for (std::int64_t i = first; i < end; ++i) fmt::print("{}\n", tapeline::message(i));
    return 0;
  }
  if (argc == 3 && argv[1] == std::string_view("csv")) {
    fmt::print("symbol,price,high,low,open,volume,timestamp\n");
    for (std::int64_t i = 0; i < std::atoll(argv[2]); ++i) fmt::print("{}\n", tapeline::row(i));
    return 0;
  }
  const std::int64_t messages = argc > 2 ? std::atoll(argv[2]) : 1'000'000;
  const int pairs = argc > 3 ? std::atoi(argv[3]) : 3;
  for (int i = 0; i < pairs; ++i) {
    tapeline::Bench bench;
    bench.folder = argv[1];
    bench.run(messages);
    tapeline::need(tapeline::io::remove_all(*bench.files, bench.folder));
  }
  return 0;
}
