#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#include <filesystem>

#include "app/commands/commands.h"
#include "base/time_zone.h"
#include "io/http_server.h"

namespace tapeline::app {
namespace {

constexpr std::int64_t kMemoryMin = std::int64_t{1} << 30;
constexpr std::int64_t kDiskMin = std::int64_t{1} << 30;
constexpr rlim_t kOpenFilesMin = 1024;
constexpr Duration kSyncSlow = std::chrono::milliseconds(20);

enum class Verdict : std::uint8_t { ok, note, fix };

/// One thing that doctor looks at.
struct Finding {
  std::string what;
  Verdict verdict = Verdict::ok;
  std::string says;
  std::string fix = "";
};

Finding must_fix(std::string what, const Error& error, std::string otherwise = "") {
  return {std::move(what), Verdict::fix, error.message,
          error.hint.empty() ? std::move(otherwise) : error.hint};
}

double gigabytes(std::int64_t bytes) { return static_cast<double>(bytes) / 1e9; }

Finding check_memory() {
  const std::int64_t bytes = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const std::string says = fmt::format("{:.1f} GB of memory, {} processors", gigabytes(bytes),
                                       sysconf(_SC_NPROCESSORS_ONLN));
  if (bytes >= kMemoryMin) return {"machine", Verdict::ok, says};
  return {"machine", Verdict::note, says,
          "Set warehouse.memory_bytes in tapeline.toml to a quarter of it."};
}

Finding check_open_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const std::string says = fmt::format("{} files may be open", limit.rlim_cur);
  if (limit.rlim_cur >= kOpenFilesMin) return {"open files", Verdict::ok, says};
  return {"open files", Verdict::fix, says, "Raise the limit: ulimit -n 4096."};
}

Finding check_zone() {
  const auto zone = TimeZone::find("America/New_York");
  if (zone) return {"time zones", Verdict::ok, "America/New_York is known"};
  return {"time zones", Verdict::fix, zone.error().message, "Install the package tzdata."};
}

Finding check_clock(Clock& clock) {
  const Timestamp now = clock.now();
  if (now < parse_rfc3339("2024-01-01T00:00:00Z")->at) {
    return {"clock", Verdict::fix, format_rfc3339(now),
            "Set the machine's clock; with a wrong one quotes seem to come from the future."};
  }
  timex state{};
  if (adjtimex(&state) == TIME_ERROR) {
    return {"clock", Verdict::note, format_rfc3339(now) + ", and nothing keeps it right",
            "If this is no container: timedatectl set-ntp true."};
  }
  return {"clock", Verdict::ok, format_rfc3339(now) + ", kept right by the network"};
}

Finding check_directory(io::FileSystem& files, const std::string& directory) {
  const std::string what = "data directory";
  const auto owner = DataDirectory::owner(files, directory);
  if (!owner) return must_fix(what, owner.error());
  if (*owner) {
    return {what, Verdict::ok,
            fmt::format("{} belongs to process {}{}", directory, (*owner)->pid,
                        (*owner)->address.empty() ? "" : " at " + (*owner)->address)};
  }
  const auto there = DataDirectory::exists(files, directory);
  if (!there) return must_fix(what, there.error());
  if (*there) return {what, Verdict::ok, directory + " is there, nobody uses it"};
  if (DataDirectory::is_foreign(files, directory).value_or(false)) {
    return {what, Verdict::fix, directory + " is no data directory, and it is not empty",
            "Name another with --data-dir or data_dir in tapeline.toml, or empty it."};
  }
  return {what, Verdict::ok, directory + " is not there yet; the first start makes it"};
}

/// What a data directory is made of has to be there and to be ours to write.
std::vector<Finding> check_files(io::FileSystem& files, const std::string& directory,
                                 bool has_log) {
  std::vector<Finding> findings;
  if (!DataDirectory::exists(files, directory).value_or(false)) return findings;
  const auto kind = DataDirectory::kind_of(files, directory);
  if (!kind) return {must_fix("files", kind.error())};
  for (const std::string_view name : {"log", "stocks_fin.duckdb", "state.sqlite"}) {
    if (name == "log" && !has_log) continue;  // the topics are Kafka's
    const std::string path = fmt::format("{}/{}", directory, name);
    const auto info = files.info(path);
    if (!info || !*info) {
      findings.push_back({"files", Verdict::fix, path + " is missing",
                          "Restore it from a backup; a warehouse alone is made again from the "
                          "topic by the next start."});
    } else if (access(path.c_str(), R_OK | W_OK) != 0) {
      findings.push_back(
          {"files", Verdict::fix, path + " may not be read and written by you",
           fmt::format("Give it to the user who runs tapeline: chown -R $USER {}.", directory)});
    }
  }
  if (findings.empty()) {
    findings.push_back({"files", Verdict::ok,
                        fmt::format("{}warehouse and state are there ({} data)",
                                    has_log ? "log, " : "", app::to_string(*kind))});
  }
  return findings;
}

std::vector<Finding> check_disk(Clock& clock, io::FileSystem& files, const std::string& directory) {
  std::string parent = directory;
  while (!parent.empty() && !files.info(parent).value_or(std::nullopt)) {
    parent = parent.substr(0, parent.find_last_of('/'));
  }
  if (parent.empty()) parent = "/";
  const std::string probe = parent + "/.tapeline-doctor";
  const Duration began = clock.uptime();
  const Status written = io::write_file_atomically(files, probe, "x");
  const Duration took = clock.uptime() - began;
  (void)files.remove(probe);
  if (!written) {
    return {must_fix("disk", written.error(),
                     fmt::format("Make '{}' a folder that you may write to.", parent))};
  }
  std::error_code none;
  const auto space = std::filesystem::space(parent, none);
  const auto free = static_cast<std::int64_t>(space.available);
  std::vector<Finding> findings;
  const std::string says = fmt::format("{:.1f} GB free at '{}'", gigabytes(free), parent);
  if (!none && free < kDiskMin) {
    findings.push_back({"disk", Verdict::fix, says, "Make room, or move data_dir elsewhere."});
  } else {
    findings.push_back({"disk", Verdict::ok, says});
  }
  const std::string speed = fmt::format("a write is safe after {:.1f} ms",
                                        std::chrono::duration<double>(took).count() * 1e3);
  if (took > kSyncSlow) {
    findings.push_back(
        {"disk", Verdict::note, speed, "Live prices wait for it: a local SSD takes a tenth."});
  } else {
    findings.push_back({"disk", Verdict::ok, speed});
  }
  return findings;
}

class NoHandler final : public io::HttpHandler {
  Admission admit(const io::HttpRequest&) override { return {}; }
  void handle(io::HttpRequest, io::HttpReply) override {}
};

Finding check_port(Clock& clock, io::FileSystem& files, const std::string& address,
                   const std::string& directory) {
  const auto colon = address.rfind(':');
  const int port = colon == std::string::npos ? -1 : std::atoi(address.c_str() + colon + 1);
  if (port < 0 || port > 65535) {
    return {"port", Verdict::fix, fmt::format("'{}' is no address to listen on", address),
            "Write listen = \"127.0.0.1:8787\" in tapeline.toml."};
  }
  std::string host = address.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  const auto owner = DataDirectory::owner(files, directory);
  if (owner && *owner && (*owner)->address == fmt::format("http://{}:{}", host, port)) {
    return {"port", Verdict::ok, fmt::format("{} is this tapeline's", address)};
  }
  NoHandler handler;
  const auto server = io::HttpServer::open(
      clock, handler, {.address = host, .port = static_cast<std::uint16_t>(port)});
  if (server) return {"port", Verdict::ok, address + " is free for the dashboard"};
  return {"port", Verdict::fix, server.error().message,
          "Stop what listens there, or choose another: tapeline up --listen 127.0.0.1:8788."};
}

Finding check_feed(const Config& config) {
  const bool has_key = !config.text("finnhub.api_key").empty();
  if (config.text("feed") == "finnhub" && !has_key) {
    return {"feed", Verdict::fix, "finnhub, and no API key is configured",
            "Put FINNHUB_API_KEY=… into secrets.env (chmod 600); `tapeline init` does both."};
  }
  return {"feed", Verdict::ok,
          fmt::format("{}{}", config.text("feed"),
                      has_key ? fmt::format(", a Finnhub key comes from {}",
                                            config.value("finnhub.api_key").origin)
                              : ", which needs no key")};
}

/// Whether the brokers that are named answer, and to whom we are who we say.
std::vector<Finding> check_log(Clock& clock, const Config& config) {
  const std::string what = "log";
  auto options = kafka_options(config);
  if (!options) return {must_fix(what, options.error())};
  if (!*options) {
    if (config.text("log.brokers").empty()) return {{what, Verdict::ok, "embedded"}};
    return {
        {what, Verdict::note,
         fmt::format("embedded, though Kafka's brokers are named (from {})",
                     config.value("log.brokers").origin),
         "TAPELINE_LOG=kafka, or engine = \"kafka\" under [log] in tapeline.toml, takes them."}};
  }
  const std::string login = msglog::sasl_mechanism((*options)->settings);
  auto log = msglog::KafkaLog::open(clock, **std::move(options));
  if (!log) return {must_fix(what, log.error())};
  const auto cluster = (*log)->describe_cluster();
  if (cluster) return {{what, Verdict::ok, "Kafka: " + *cluster}};
  Finding finding = {what, Verdict::fix, cluster.error().message,
                     fmt::format("Start the brokers, or name others ({} is from {}).",
                                 config.text("log.brokers"), config.value("log.brokers").origin)};
  const bool refused = cluster.error().message.find("SASL") != std::string::npos;
  if (refused) finding.fix = cluster.error().hint;
  if (refused && login.starts_with("SCRAM") && msglog::kafka_library_scram_is_old()) {
    finding.fix = fmt::format(
        "librdkafka {} cannot do SCRAM with Kafka 4.x, even with the right password: build against "
        "2.6.1 or later, or use PLAIN over TLS. With Kafka 3.x look at user and password.",
        msglog::kafka_library_version());
  }
  return {finding};
}

/// Numbers have to be numbers, symbols symbols.
std::vector<Finding> check_settings(const Config& config) {
  std::vector<Finding> findings;
  for (const Setting& setting : settings()) {
    const std::string_view fallback = setting.fallback;
    const bool numeric =
        !fallback.empty() && fallback.find_first_not_of("0123456789.") == std::string_view::npos;
    if (!numeric) continue;
    const auto number = config.real(setting.key);
    if (!number) findings.push_back(must_fix("configuration", number.error(), "Write a number."));
  }
  for (const std::string& name : config.list("symbols")) {
    const auto symbol = Symbol::parse(name);
    if (!symbol) findings.push_back(must_fix("configuration", symbol.error()));
  }
  if (findings.empty())
    findings.push_back({"configuration", Verdict::ok, "every value can be read"});
  return findings;
}

int report(const Call& call, const std::vector<Finding>& findings) {
  int to_fix = 0;
  std::vector<text::Value> rows;
  for (const Finding& finding : findings) {
    to_fix += finding.verdict == Verdict::fix;
    text::Value row;
    row.set("check", finding.what);
    row.set("result", finding.verdict == Verdict::ok     ? "ok"
                      : finding.verdict == Verdict::note ? "note"
                                                         : "FIX");
    row.set("says", finding.says);
    row.set("fix", finding.fix);
    rows.push_back(std::move(row));
  }
  if (call.json()) {
    print_objects(call, rows);
    return to_fix > 0 ? 1 : 0;
  }
  for (const Finding& finding : findings) {
    const std::string_view mark = finding.verdict == Verdict::ok     ? "ok  "
                                  : finding.verdict == Verdict::note ? "note"
                                                                     : "FIX ";
    call.terminal.out(fmt::format("{}  {:<14}  {}\n", mark, finding.what, finding.says));
    if (!finding.fix.empty()) call.terminal.out(fmt::format("      {:<14}  {}\n", "", finding.fix));
  }
  call.terminal.out(to_fix == 0 ? "\nready: `tapeline up` starts\n"
                                : fmt::format("\n{} to fix\n", to_fix));
  return to_fix > 0 ? 1 : 0;
}

}  // namespace

ExitCode doctor(Clock& clock, io::FileSystem& files, const Environment& environment,
                const Call& call) {
  std::vector<Finding> findings = {check_memory(), check_open_files(), check_zone(),
                                   check_clock(clock)};
  const auto add = [&](std::vector<Finding> more) {
    findings.insert(findings.end(), more.begin(), more.end());
  };
  auto config = Config::load(files, call.folder, environment, call.line.values);
  if (config) {
    add(check_settings(*config));
    findings.push_back(check_feed(*config));
    add(check_log(clock, *config));
  } else {
    findings.push_back(must_fix("configuration", config.error()));
    // What else there is to see is looked at as if nothing were configured.
    config = TRY(Config::load(files, "/dev/null", {}, call.line.values));
  }
  const bool simulated = config->text("feed") == "simulator";
  std::string directory = config->text("data_dir");
  if (directory.empty() && simulated) {
    directory = default_directory(environment, DirectoryKind::simulated);
  }
  directory = TRY(choose_directory(files, environment, directory, true));
  findings.push_back(check_directory(files, directory));
  add(check_files(files, directory, config->text("log.engine") != "kafka"));
  add(check_disk(clock, files, directory));
  findings.push_back(check_port(clock, files, config->text("listen"), directory));
  return report(call, findings);
}

}  // namespace tapeline::app
