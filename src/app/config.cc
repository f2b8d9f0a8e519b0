#include "app/config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"
#include "base/whole_number.h"
#include "text/nearest.h"
#include "text/value.h"
#include "text/words.h"

namespace tapeline::app {
namespace {

constexpr std::array kSettings = {
    Setting{"data_dir", "TAPELINE_DATA_DIR", "data-dir", "", "where the data are"},
    Setting{"feed", "TAPELINE_FEED", "feed", "simulator",
            "simulator, finnhub or none; finnhub where a key is set and nobody says another"},
    Setting{"listen", "TAPELINE_LISTEN", "listen", "127.0.0.1:8787", "dashboard and API"},
    Setting{"symbols", "STOCKS", "symbols", "AAPL,GOOGL,MSFT,AMZN,TSLA,NVDA,META,NFLX,UBER,COIN",
            "which symbols to follow"},
    Setting{"simulator.rate", "", "rate", "10", "quotes a second, over all symbols"},
    Setting{"simulator.seed", "", "seed", "1", "where every random choice comes from"},
    Setting{"simulator.start", "", "start", "", "the instant at which it begins [now]"},
    Setting{"simulator.faults", "", "faults", "",
            "what goes wrong at the simulated exchange: drop=0.01,halt=0.1"},
    Setting{"log.engine", "TAPELINE_LOG", "log", "embedded",
            "where the topics are: embedded, or kafka"},
    Setting{"log.brokers", "KAFKA_BOOTSTRAP_SERVERS", "", "",
            "kafka: the brokers to begin with, host:port,host:port"},
    Setting{"log.group", "TAPELINE_LOG_GROUP", "", "airflow-stock-ingestion-snowflake",
            "kafka: the consumer group whose lag Kafka's tools see"},
    Setting{"log.topic_prefix", "TAPELINE_LOG_TOPIC_PREFIX", "", "",
            "kafka: what stands before the names of the topics there"},
    Setting{"log.partitions", "TAPELINE_LOG_PARTITIONS", "", "1",
            "partitions of a topic that is made"},
    Setting{"log.replication", "TAPELINE_LOG_REPLICATION", "", "0",
            "kafka: replicas of a topic that is made; 0: as the brokers say"},
    Setting{"log.retention_hours", "TAPELINE_LOG_RETENTION_HOURS", "", "0",
            "kafka: how long a topic that is made keeps records; 0: as the brokers say"},
    Setting{"log.spool_bytes", "TAPELINE_LOG_SPOOL_BYTES", "", "5000000000",
            "kafka: what may wait on this machine's disk while it is away; 64 MiB at least"},
    Setting{"log.retention_bytes", "TAPELINE_LOG_RETENTION_BYTES", "", "20000000000",
            "what the topics may take on disk; 64 MiB at least"},
    Setting{"log.segment_bytes", "TAPELINE_LOG_SEGMENT_BYTES", "", "67108864",
            "how large a file of a topic grows before the next begins"},
    Setting{"warehouse.memory_bytes", "TAPELINE_WAREHOUSE_MEMORY_BYTES", "", "2147483648",
            "what the warehouse may take of memory"},
    Setting{"warehouse.threads", "TAPELINE_WAREHOUSE_THREADS", "", "2", "threads of one query"},
    Setting{"retention.raw_days", "TAPELINE_RETENTION_RAW_DAYS", "", "0",
            "how many days raw and staging rows stay; 0: for ever"},
    Setting{"retention.archive_dir", "TAPELINE_RETENTION_ARCHIVE_DIR", "", "",
            "where raw rows go as Parquet before that; empty: nowhere"},
    Setting{"dag.rest_ms_max", "TAPELINE_DAG_REST_MS_MAX", "", "2000",
            "the longest rest between continuous runs that have little to do"},
    Setting{"dag.folder", "TAPELINE_DAG_FOLDER", "", "",
            "DAG files (*.yml) beside the shipped ones; one with a shipped id replaces it"},
    Setting{"dag.scheduler", "TAPELINE_DAG_SCHEDULER", "", "built-in",
            "built-in, or outside: runs by schedule are made by Airflow, say, not here"},
    Setting{"members.lease_ms", "TAPELINE_MEMBERS_LEASE_MS", "", "5000",
            "processes that share the work: after so long without a word another takes over"},
    Setting{"log_level", "TAPELINE_LOG_LEVEL", "", "info", "debug, info, warn or error"},
    Setting{"api.token", "TAPELINE_API_TOKEN", "", "", "what readers and writers must send, if set",
            true},
    Setting{"api.view_token", "TAPELINE_VIEW_TOKEN", "", "",
            "what may only read, with api.token set", true},
    Setting{"finnhub.api_key", "FINNHUB_API_KEY", "", "", "the key for Finnhub", true},
    Setting{"finnhub.fetch_interval", "FETCH_INTERVAL", "", "60",
            "seconds between two calls of a symbol's quote"},
    Setting{"finnhub.stream", "TAPELINE_FINNHUB_STREAM", "", "true",
            "take trades from the WebSocket too"},
    Setting{"finnhub.symbols_max", "TAPELINE_FINNHUB_SYMBOLS_MAX", "", "50",
            "how many symbols the key's plan streams"},
    Setting{"finnhub.spacing_ms", "TAPELINE_FINNHUB_SPACING_MS", "", "2000",
            "the least time between any two calls"},
    Setting{"finnhub.calls_per_minute", "TAPELINE_FINNHUB_CALLS_PER_MINUTE", "", "60",
            "how many calls the key's plan allows"},
    Setting{"finnhub.timeout_ms", "TAPELINE_FINNHUB_TIMEOUT_MS", "", "10000",
            "how long a call, or connecting, may take"},
    Setting{"finnhub.silence_ms", "TAPELINE_FINNHUB_SILENCE_MS", "", "150000",
            "a stream without any message for so long is connected anew"},
    Setting{"finnhub.mute_ms", "TAPELINE_FINNHUB_MUTE_MS", "", "60000",
            "the least time without trades, in the session, that may be more than quiet"},
    Setting{"finnhub.rest_url", "TAPELINE_FINNHUB_REST_URL", "", "https://finnhub.io/api/v1",
            "where calls go"},
    Setting{"finnhub.stream_url", "TAPELINE_FINNHUB_STREAM_URL", "", "wss://ws.finnhub.io",
            "where the stream is"},
    Setting{"finnhub.ca_file", "TAPELINE_FINNHUB_CA_FILE", "", "",
            "certificates (PEM) to trust beside the system's, for a proxy"},
    Setting{"debug.clock", "TAPELINE_DEBUG_CLOCK", "", "",
            "START,SPEED[,SINCE]: the feed's clock, where its servers are on this machine"},
};

const Setting* find_setting(std::string_view key) {
  for (const Setting& setting : kSettings) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

constexpr std::string_view kBlanks = " \t";

/// A value of an env file: what is in its quotes, or all up to a comment.
std::string_view env_value(std::string_view text) {
  text = text::trimmed(text);
  if (text.starts_with('"') || text.starts_with('\'')) {
    const auto end = text.find(text.front(), 1);
    if (end != std::string_view::npos) return text.substr(1, end - 1);
  }
  for (auto at = text.find('#'); at != std::string_view::npos; at = text.find('#', at + 1)) {
    if (at == 0 || kBlanks.find(text[at - 1]) != std::string_view::npos) {
      return text::trimmed(text.substr(0, at));
    }
  }
  return text;
}

/// NAME=value lines; `export`, quotes and comments as a shell would take them, and blanks around
/// the `=`, which it would not.
/// errors: invalid_argument (a line that is none; it is not shown, for it may be a secret)
Result<std::map<std::string, std::string>> parse_env_file(std::string_view text) {
  std::map<std::string, std::string> values;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (int number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text::trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("export ")) line.remove_prefix(7);
    const auto equals = line.find('=');
    const std::string_view name = text::trimmed(line.substr(0, equals));
    if (equals == std::string_view::npos || name.empty() ||
        name.find_first_of(kBlanks) != std::string_view::npos) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("line {} of secrets.env is not NAME=value", number),
                   "Mend it, or put a # before it."};
    }
    values[std::string(name)] = env_value(line.substr(equals + 1));
  }
  return values;
}

constexpr std::string_view kKafkaKey = "log.kafka.";
constexpr std::string_view kKafkaVariable = "TAPELINE_KAFKA_";

/// "sasl.password" of TAPELINE_KAFKA_SASL_PASSWORD; none for other variables.
std::optional<std::string> kafka_name(std::string_view variable) {
  if (!variable.starts_with(kKafkaVariable)) return std::nullopt;
  variable.remove_prefix(kKafkaVariable.size());
  std::string name;
  for (const char c : variable) {
    name += c == '_' ? '.' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return name.empty() ? std::nullopt : std::optional(name);
}

Status flatten(const text::Value& value, const std::string& prefix,
               std::map<std::string, std::string>& out) {
  for (const auto& [name, item] : value.as_object()) {
    const std::string key = prefix.empty() ? name : prefix + "." + name;
    if (item.is_object()) {
      TRY_STATUS(flatten(item, key, out));
      continue;
    }
    if (!find_setting(key) && !key.starts_with(kKafkaKey)) {
      std::vector<std::string> keys;
      for (const Setting& setting : kSettings) keys.emplace_back(setting.key);
      const std::string near = text::nearest(key, keys);
      return Error{ErrorCode::invalid_argument,
                   fmt::format("tapeline.toml has a key '{}' that nobody knows", key),
                   near.empty() ? "`tapeline config show` lists the keys."
                                : fmt::format("Did you mean '{}'?", near)};
    }
    if (item.is_list()) {
      std::string joined;
      for (const auto& entry : item.as_list()) {
        joined += (joined.empty() ? "" : ",") +
                  (entry.is_string() ? entry.as_string() : text::to_json(entry));
      }
      out[key] = joined;
    } else {
      out[key] = item.is_string() ? item.as_string() : text::to_json(item);
    }
  }
  return Ok{};
}

enum class Readers : std::uint8_t { anyone, owner };

/// The file's text, from the first folder that has it; none where neither does.
Result<std::optional<std::string>> read_first(io::FileSystem& files, const std::string& name,
                                              const std::vector<std::string>& folders,
                                              Readers readers) {
  for (const std::string& folder : folders) {
    const std::string path = folder + "/" + name;
    const auto info = TRY(files.info(path));
    if (!info || info->is_directory) continue;
    if (readers == Readers::owner && !info->is_private) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("other users may read '{}', which holds secrets", path),
                   fmt::format("Run `chmod 600 {}`.", path)};
    }
    return std::optional(TRY(io::read_file(files, path)));
  }
  return std::optional<std::string>();
}

}  // namespace

std::span<const Setting> settings() { return kSettings; }

std::string user_folder(const Environment& environment) {
  if (const auto xdg = environment.find("XDG_CONFIG_HOME");
      xdg != environment.end() && !xdg->second.empty()) {
    return xdg->second + "/tapeline";
  }
  const auto home = environment.find("HOME");
  return (home == environment.end() ? "" : home->second) + "/.config/tapeline";
}

Environment read_environment() {
  Environment environment;
  for (char** at = environ; at && *at; ++at) {
    const std::string_view entry = *at;
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

Result<Config> Config::load(io::FileSystem& files, const std::string& folder,
                            const Environment& environment,
                            const std::map<std::string, std::string, std::less<>>& flags) {
  const std::vector<std::string> folders = {folder, user_folder(environment)};
  std::map<std::string, std::string> from_file;
  if (const auto toml = TRY(read_first(files, "tapeline.toml", folders, Readers::anyone))) {
    const auto parsed = text::parse_toml(*toml);
    if (!parsed) return Error(parsed.error()).while_doing("reading tapeline.toml");
    TRY_STATUS(flatten(*parsed, "", from_file));
  }
  std::map<std::string, std::string> from_secrets;
  if (const auto secrets = TRY(read_first(files, "secrets.env", folders, Readers::owner))) {
    from_secrets = TRY(parse_env_file(*secrets));
  }
  Config config;
  for (const Setting& setting : kSettings) {
    Value value{std::string(setting.fallback), "default"};
    const std::string key(setting.key);
    const std::string variable(setting.variable);
    if (from_file.contains(key)) value = {from_file[key], "tapeline.toml"};
    if (!variable.empty()) {
      if (from_secrets.contains(variable)) value = {from_secrets[variable], "secrets.env"};
      if (const auto found = environment.find(variable); found != environment.end()) {
        value = {found->second, "environment " + variable};
      }
    }
    if (const auto found = flags.find(setting.flag);
        !setting.flag.empty() && found != flags.end()) {
      value = {found->second, "flag --" + std::string(setting.flag)};
    }
    config.values_.emplace(key, std::move(value));
  }
  for (const auto& [key, value] : from_file) {
    if (!key.starts_with(kKafkaKey)) continue;
    config.kafka_[key.substr(kKafkaKey.size())] = {value, "tapeline.toml"};
  }
  for (const auto& [variable, value] : from_secrets) {
    if (const auto name = kafka_name(variable)) config.kafka_[*name] = {value, "secrets.env"};
  }
  for (const auto& [variable, value] : environment) {
    if (const auto name = kafka_name(variable)) {
      config.kafka_[*name] = {value, "environment " + variable};
    }
  }
  return config;
}

const Config::Value& Config::value(std::string_view key) const {
  const auto found = values_.find(key);
  TL_ASSERT(found != values_.end());
  return found->second;
}

Result<std::int64_t> Config::integer(std::string_view key) const {
  const Value& its = value(key);
  if (const auto number = whole_number(its.text)) return *number;
  return Error{ErrorCode::invalid_argument,
               fmt::format("'{}' is no whole number for '{}' (from {})", its.text, key, its.origin),
               ""};
}

Result<std::int64_t> Config::integer(std::string_view key, std::int64_t least,
                                     std::int64_t most) const {
  const auto number = TRY(integer(key));
  if (number >= least && number <= most) return number;
  return Error{ErrorCode::invalid_argument,
               fmt::format("{} is out of range for '{}' (from {})", number, key, value(key).origin),
               fmt::format("It goes from {} to {}.", least, most)};
}

Result<double> Config::real(std::string_view key) const {
  const Value& its = value(key);
  double number = 0;
  const auto [end, failed] =
      std::from_chars(its.text.data(), its.text.data() + its.text.size(), number);
  if (failed != std::errc() || end != its.text.data() + its.text.size()) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is no number for '{}' (from {})", its.text, key, its.origin),
                 ""};
  }
  return number;
}

std::vector<std::string> Config::list(std::string_view key) const {
  return text::comma_list(text(key));
}

}  // namespace tapeline::app
