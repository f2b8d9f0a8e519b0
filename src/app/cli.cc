#include "app/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "transform/command_line.h"

namespace tapeline::app {
Error usage(std::string message, std::string hint) {
  return Error{ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

namespace {

constexpr std::array kCommon = {
    Flag{"data-dir", "DIR", "",
         "where the data are [$XDG_DATA_HOME/tapeline/market or /simulated]"},
    Flag{"log", "ENGINE", "embedded", "where the topics are: embedded, or kafka"},
    Flag{"json", "", "", "print JSON"},
    Flag{"help", "", "", "show this"},
};

constexpr std::array kUp = {
    Flag{"feed", "NAME", "", "simulator, finnhub or none [finnhub with a key, else simulator]"},
    Flag{"listen", "ADDRESS", "127.0.0.1:8787", "where the dashboard and the API are served"},
    Flag{"symbols", "A,B", "ten, AAPL to COIN", "which symbols to follow"},
    Flag{"rate", "N", "10", "simulator: quotes a second, over all symbols"},
    Flag{"seed", "N", "1", "simulator: where every random choice comes from"},
    Flag{"start", "TIME", "now", "simulator: the instant at which it begins"},
    Flag{"faults", "LIST", "",
         "simulator: drop=P,… with drop, duplicate, malformed, reorder, zero, spike, stall, halt, "
         "split"},
};
constexpr std::array kReplay = {
    Flag{"speed", "FACTOR", "60x", "how many times faster than the files' clock, or max"},
    Flag{"conditions", "VENDOR", "plain", "how trades' conditions are read: plain or algoseek"},
    Flag{"bar-length", "LENGTH", "", "1m, 5m, 15m, 30m, 1h, 4h or 1d [found from the files]"},
    Flag{"listen", "ADDRESS", "127.0.0.1:8787", "where the dashboard and the API are served"},
};
constexpr std::array kImport = {
    Flag{"conditions", "VENDOR", "plain", "how trades' conditions are read: plain or algoseek"},
    Flag{"bar-length", "LENGTH", "", "1m, 5m, 15m, 30m, 1h, 4h or 1d [found from the files]"},
};
constexpr std::array kOrigin = {
    Flag{"origin", "", "", "say where each value comes from"},
};
constexpr std::array kTail = {
    Flag{"from", "WHERE", "end", "beginning, end, an offset, or a time"},
    Flag{"partition", "N", "0", "which partition"},
    Flag{"no-follow", "", "", "end when there is no more"},
};
constexpr std::array kStatus = {
    Flag{"watch", "", "", "say it again every second, until Ctrl-C"},
};
constexpr std::array kRuns = {
    Flag{"limit", "N", "20", "how many, newest first"},
};
constexpr Flag kWait{"wait", "", "", "end when the run has ended; exit 1 if it failed"};
constexpr Flag kConf{"conf", "JSON", "", "parameters of the run: an object"};
constexpr std::array kTrigger = {
    kConf,
    Flag{"run-id", "ID", "manual__TIME", "what the run is called"},
    kWait,
};
constexpr std::array kClear = {
    Flag{"task", "NAME", "", "this task only"},
    Flag{"upstream", "", "", "and all tasks before it"},
    Flag{"downstream", "", "", "and all tasks after it"},
    Flag{"failed", "", "", "of those only what failed, or whose upstream did"},
    kWait,
};
constexpr std::array kMark = {
    Flag{"task", "NAME", "", "this task instead of the run"},
    kWait,
};
constexpr std::array kBackfill = {
    Flag{"from", "TIME", "", "first logical date: a date, or RFC 3339"},
    Flag{"to", "TIME", "", "last logical date; a date is meant whole"},
    Flag{"which", "WHICH", "missing", "missing runs only, or also failed, or all that have ended"},
    Flag{"max-active-runs", "N", "1", "how many of them at a time, whatever the DAG says"},
    kConf,
    Flag{"dry-run", "", "", "say which runs, and how long they will take, and do nothing"},
    kWait,
};
constexpr std::array kTaskRun = {
    Flag{"run-id", "ID", "", "the outside scheduler's run; the history has it under this id"},
    Flag{"try", "N", "the next", "which try of the task it is there"},
    Flag{"input", "JSON", "what the history has",
         "what earlier tasks returned, as {\"TASK\": VALUE, ...}; - reads it from stdin"},
    Flag{"logical-date", "TIME", "now", "of the run: RFC 3339"},
    kConf,
    Flag{"end-of-run", "", "", "after its work fail if a task before it did not succeed"},
};
constexpr std::array kGenerate = {
    Flag{"output", "FILE", "", "the file to write; without it, to stdout", 'o'},
    Flag{"force", "", "", "replace the file if it is there"},
};
constexpr std::array kNext = {
    Flag{"cron", "EXPR", "", "an expression instead of a DAG's schedule"},
    Flag{"timezone", "TZ", "UTC", "the zone that --cron is meant in"},
    Flag{"after", "TIME", "now", "RFC 3339, or a date"},
    Flag{"count", "N", "5", "how many"},
};
constexpr std::array kCalendar = {
    Flag{"calendar", "NAME", "XNYS", "XNYS or SIM"},
    Flag{"from", "DATE", "", "the first date, as New York counts them"},
    Flag{"to", "DATE", "", "the last date"},
    Flag{"format", "FORMAT", "table", "table, csv, json, ndjson or markdown"},
};
constexpr std::array kLogs = {
    Flag{"task", "NAME", "", "of one task only"},
};
constexpr std::array kAccept = {
    Flag{"yes", "", "", "do it; without this only say what would be lost"},
};
constexpr std::array kVerifyBackup = {
    Flag{"scratch", "DIR", "", "where the copy that is opened goes [DIR.verify]"},
};
constexpr std::array kRestore = {
    Flag{"to", "DIR", "", "the new data directory [--data-dir, else that of the backup's kind]"},
};
constexpr std::array kRetention = {
    Flag{"dry-run", "", "", "say what would be given up, and keep it"},
};
constexpr std::array kSql = {
    Flag{"query", "SQL", "", "the statement; without it, read from stdin", 'c'},
    Flag{"format", "FORMAT", "table", "table, csv, json, ndjson or markdown"},
    Flag{"limit", "N", "", "at most so many rows [all]"},
    Flag{"timeout", "TIME", "60s", "end the query after this long"},
};

constexpr std::array kInit = {
    Flag{"feed", "NAME", "", "simulator, or finnhub with the key of $FINNHUB_API_KEY"},
    Flag{"symbols", "A,B", "", "which symbols to follow"},
    Flag{"folder", "DIR", "$XDG_CONFIG_HOME/tapeline", "where tapeline.toml and secrets.env go"},
    Flag{"yes", "", "", "ask nothing: what no flag says is the default"},
    Flag{"force", "", "", "replace files that are there; the old ones are kept as *.old"},
};
constexpr std::array kExport = {
    Flag{"query", "SQL", "", "export what a SELECT answers, instead of a table", 'c'},
    Flag{"symbol", "S...", "", "of these symbols only; may be given several times, or S,S"},
    Flag{"from", "DATE", "", "from this trading date on"},
    Flag{"to", "DATE", "", "up to this trading date"},
    Flag{"format", "FORMAT", "by the file's ending, else csv",
         "csv, parquet, json (one array) or ndjson (an object a line)"},
    Flag{"output", "FILE", "", "the file to write; without it, to stdout", 'o'},
    Flag{"force", "", "", "replace the file if it is there"},
};

constexpr std::array kCommands = {
    Command{"up", "", "run the whole pipeline, with its dashboard", Place::owner, kUp,
            "tapeline up\ntapeline up --feed none\ntapeline up --seed 7 --rate 200"},
    Command{"import", "FILE...", "load files of trades or bars, through topic and models",
            Place::directory, kImport,
            "tapeline import daily.csv.gz\ntapeline import --conditions algoseek trades/*.csv.gz"},
    Command{"replay", "FILE...", "play files of trades or bars as a live feed, with the dashboard",
            Place::owner, kReplay, "tapeline replay trades.csv.gz --speed 60x"},
    Command{"status", "", "what the pipeline is doing", Place::directory, kStatus,
            "tapeline status\ntapeline status --watch"},
    Command{"init", "", "write a first configuration, after three questions at most", Place::here,
            kInit,
            "tapeline init\n"
            "FINNHUB_API_KEY=… tapeline init --feed finnhub --symbols AAPL,MSFT --yes"},
    Command{"doctor",
            "",
            "check machine, configuration and data, and say how to fix what is wrong",
            Place::here,
            {},
            "tapeline doctor"},
    Command{"audit",
            "",
            "prove that topic, raw, staging and marts agree",
            Place::directory,
            {},
            "tapeline audit"},
    Command{"config show", "", "the configuration in force", Place::here, kOrigin,
            "tapeline config show --origin"},
    Command{"symbols list",
            "",
            "the symbols that are followed, and which way their prices come",
            Place::directory,
            {},
            "tapeline symbols list"},
    Command{"symbols add",
            "SYMBOL...",
            "follow more symbols, from now on",
            Place::directory,
            {},
            "tapeline symbols add IBM BRK.B"},
    Command{"symbols remove",
            "SYMBOL...",
            "follow symbols no longer; what is there of them stays",
            Place::directory,
            {},
            "tapeline symbols remove IBM"},
    Command{"topic list",
            "",
            "the topics and their sizes",
            Place::directory,
            {},
            "tapeline topic list"},
    Command{"topic describe",
            "TOPIC",
            "partitions, offsets and consumer groups of a topic",
            Place::directory,
            {},
            "tapeline topic describe stock_prices"},
    Command{"topic groups",
            "TOPIC",
            "how far each consumer group has got, by partition",
            Place::directory,
            {},
            "tapeline topic groups stock_prices"},
    Command{"topic lag",
            "TOPIC",
            "how many messages each consumer group has yet to read",
            Place::directory,
            {},
            "tapeline topic lag stock_prices"},
    Command{"topic tail", "TOPIC", "print records as they come", Place::directory, kTail,
            "tapeline topic tail stock_prices --from beginning --no-follow"},
    Command{"topic produce",
            "TOPIC",
            "append NDJSON from stdin, a record a line",
            Place::directory,
            {},
            "tapeline topic produce stock_prices < messages.ndjson"},
    Command{"topic verify",
            "[TOPIC]",
            "read every segment and prove it whole",
            Place::directory,
            {},
            "tapeline topic verify"},
    Command{"topic accept", "TOPIC", "accept a log that is not the one that was loaded",
            Place::directory, kAccept, "tapeline topic accept stock_prices --yes"},
    Command{
        "dag list", "", "the DAGs and their schedules", Place::directory, {}, "tapeline dag list"},
    Command{"dag show",
            "DAG",
            "tasks and settings of a DAG",
            Place::directory,
            {},
            "tapeline dag show stock_data_ingestion"},
    Command{"dag trigger", "DAG", "start a run", Place::directory, kTrigger,
            "tapeline dag trigger stock_data_ingestion --wait\n"
            "tapeline dag trigger stock_data_ingestion --conf '{\"days\": \"all\"}'"},
    Command{"dag pause",
            "DAG",
            "start no runs until it is unpaused",
            Place::directory,
            {},
            "tapeline dag pause stock_data_ingestion"},
    Command{"dag unpause",
            "DAG",
            "start runs again",
            Place::directory,
            {},
            "tapeline dag unpause stock_data_ingestion"},
    Command{"dag runs", "DAG", "runs, newest first", Place::directory, kRuns,
            "tapeline dag runs stock_data_ingestion --limit 5"},
    Command{"dag tasks",
            "DAG RUN",
            "the tasks of a run",
            Place::directory,
            {},
            "tapeline dag tasks stock_data_ingestion manual__2026-11-22T14:30:00Z"},
    Command{"dag logs", "DAG RUN", "what the tasks of a run logged", Place::directory, kLogs,
            "tapeline dag logs stock_data_ingestion manual__2026-11-22T14:30:00Z --task load"},
    Command{"dag clear", "DAG RUN", "run a run, or some of its tasks, again", Place::directory,
            kClear,
            "tapeline dag clear full_tests scheduled__2026-11-22T00:00:00+00:00 --failed\n"
            "tapeline dag clear stock_data_ingestion RUN --task transform --downstream"},
    Command{"dag mark", "DAG RUN STATE", "say that a run, or a task of it, is success or failed",
            Place::directory, kMark,
            "tapeline dag mark full_tests scheduled__2026-11-22T00:00:00+00:00 success"},
    Command{"dag cancel",
            "DAG RUN",
            "stop a run that has not ended",
            Place::directory,
            {},
            "tapeline dag cancel full_tests manual__2026-11-22T14:30:00+00:00"},
    Command{"dag backfill", "DAG", "runs for the fires of a stretch of the past", Place::directory,
            kBackfill,
            "tapeline dag backfill full_tests --from 2026-11-01 --to 2026-11-07 --dry-run"},
    Command{"dag task run", "DAG TASK", "run one task for a scheduler outside, such as Airflow",
            Place::directory, kTaskRun,
            "tapeline dag task run stock_data_ingestion consume --run-id run1\n"
            "tapeline dag task run stock_data_ingestion load --run-id run1 --try 2 "
            "--input '{\"consume\": {\"ranges\": []}}'"},
    Command{"dag next", "[DAG]", "when a schedule fires next, in UTC", Place::here, kNext,
            "tapeline dag next full_tests\n"
            "tapeline dag next --cron '30 1 * * *' --timezone America/New_York --after 2026-11-01"},
    Command{"generate airflow-dag", "[DAG]", "an Airflow DAG file that runs a DAG's tasks here",
            Place::here, kGenerate,
            "tapeline generate airflow-dag\n"
            "tapeline generate airflow-dag full_tests --output full_tests.py"},
    Command{"dbt",
            "ARGS...",
            "dbt on the shipped project, or on one of yours",
            Place::directory,
            {},
            "tapeline dbt build\ntapeline dbt test --select stock_analytics\ntapeline dbt ls",
            true},
    Command{"sql", "", "ask the warehouse, read-only", Place::directory, kSql,
            "tapeline sql -c 'select symbol, ma_7_day from stock_analytics limit 5'\n"
            "tapeline sql -c 'from loads' --format csv"},
    Command{"calendar", "", "the exchange's sessions, holidays and early closes", Place::here,
            kCalendar, "tapeline calendar --from 2026-11-01 --to 2026-12-31 --format csv"},
    Command{"completion",
            "SHELL",
            "what bash, zsh or fish reads to complete commands and flags",
            Place::here,
            {},
            "tapeline completion bash\ntapeline completion fish"},
    Command{"export", "[TABLE]", "write a table or a query's rows to a file", Place::directory,
            kExport,
            "tapeline export stock_analytics --output analytics.parquet\n"
            "tapeline export raw_stocks.stock_prices --symbol AAPL --from 2025-01-01 -o aapl.csv\n"
            "tapeline export --query 'select symbol, rsi_14 from stock_analytics' --format ndjson"},
    Command{"backup create",
            "[DIR]",
            "copy topics, warehouse and state, while they are in use",
            Place::directory,
            {},
            "tapeline backup create\ntapeline backup create backups/monday"},
    Command{"backup verify", "DIR", "prove a backup: every byte, then an audit of a copy",
            Place::here, kVerifyBackup, "tapeline backup verify backups/monday"},
    Command{"backup restore", "DIR", "make a data directory of a backup", Place::here, kRestore,
            "tapeline backup restore backups/monday --to restored"},
    Command{"retention run", "", "give up raw rows of the days that retention.raw_days lets go",
            Place::directory, kRetention,
            "tapeline retention run --dry-run\ntapeline retention run"},
    Command{"compact",
            "",
            "write the warehouse anew, without the room of deleted rows; nobody may use it",
            Place::here,
            {},
            "tapeline compact"},
    Command{"version",
            "",
            "the version of tapeline and of what it stands on",
            Place::here,
            {},
            "tapeline version --json"},
};

// Commands of the design that are not there yet: naming one says so.
constexpr std::array<std::string_view, 5> kLater = {"produce", "load", "serve", "explain", "alert"};

const Flag* find_flag(const Command& command, std::string_view name) {
  for (const Flag& flag : command.flags) {
    if (flag.name == name) return &flag;
  }
  for (const Flag& flag : kCommon) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

std::vector<std::string> flag_names(const Command& command) {
  std::vector<std::string> names;
  for (const Flag& flag : command.flags) names.emplace_back(flag.name);
  for (const Flag& flag : kCommon) names.emplace_back(flag.name);
  return names;
}

int distance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string did_you_mean(const std::string& name, std::string_view otherwise) {
  return name.empty() ? std::string(otherwise) : fmt::format("Did you mean `{}`?", name);
}

/// The command whose name stands at the front of `words`, and how many words it took.
Result<std::pair<const Command*, std::size_t>> find_command(const std::vector<std::string>& words) {
  const std::string& first = words[0];
  std::vector<std::string> firsts;
  std::vector<std::string> seconds;
  for (const Command& command : kCommands) {
    const auto blank = command.name.find(' ');
    firsts.emplace_back(command.name.substr(0, blank));
    if (blank == std::string_view::npos) {
      if (command.name == first) return std::pair(&command, std::size_t{1});
      continue;
    }
    if (command.name.substr(0, blank) != first) continue;
    seconds.emplace_back(command.name.substr(blank + 1));
    if (words.size() > 1 && command.name.substr(blank + 1) == words[1]) {
      return std::pair(&command, std::size_t{2});
    }
    if (words.size() > 2 && command.name.substr(blank + 1) == words[1] + " " + words[2]) {
      return std::pair(&command, std::size_t{3});
    }
  }
  if (!seconds.empty()) {
    std::string all;
    for (const auto& second : seconds) all += (all.empty() ? "" : ", ") + second;
    if (words.size() < 2 || words[1].starts_with("-")) {
      return usage(fmt::format("`{}` needs one of: {}", first, all),
                   fmt::format("`tapeline {} --help` says what each does.", first));
    }
    return usage(fmt::format("`{}` has no command `{}`", first, words[1]),
                 did_you_mean(nearest(words[1], seconds), "It has: " + all + "."));
  }
  if (std::find(kLater.begin(), kLater.end(), first) != kLater.end()) {
    return usage(fmt::format("`{}` is not there yet", first), "A later release brings it.");
  }
  return usage(fmt::format("tapeline has no command `{}`", first),
               did_you_mean(nearest(first, firsts), "`tapeline --help` lists them."));
}

Status read_flag(Invocation& call, const std::vector<std::string>& words, std::size_t& at) {
  const Command& command = *call.command;
  std::string name = words[at].substr(2);
  std::optional<std::string> value;
  if (const auto equals = name.find('='); equals != std::string::npos) {
    value = name.substr(equals + 1);
    name.resize(equals);
  }
  if (words[at][1] != '-') {
    name.clear();
    for (const Flag& flag : command.flags) {
      if (flag.letter != '\0' && words[at].size() == 2 && words[at][1] == flag.letter) {
        name = flag.name;
      }
    }
    if (words[at] == "-h") name = "help";
  }
  const Flag* flag = find_flag(command, name);
  if (!flag) {
    const std::string near = nearest(name, flag_names(command));
    return usage(fmt::format("`{}` has no flag `{}`", command.name, words[at]),
                 near.empty() ? fmt::format("`tapeline {} --help` lists them.", command.name)
                              : fmt::format("Did you mean `--{}`?", near));
  }
  if (flag->value.empty()) {
    if (value) return usage(fmt::format("`--{}` takes no value", name), "");
    call.values[name] = "true";
  } else {
    if (!value) {
      if (at + 1 >= words.size()) {
        return usage(fmt::format("`--{}` needs a value", name),
                     fmt::format("Write --{} {}.", name, flag->value));
      }
      value = words[++at];
    }
    const auto before = call.values.find(name);
    if (flag->value.ends_with("...") && before != call.values.end()) {
      value = before->second + "," + *value;
    }
    call.values[name] = *value;
  }
  if (name == "help") call.help = true;
  return Ok{};
}

/// How many words a command takes, from its usage line: "DAG RUN" is two, "FILE..." any above 0.
Status check_words(const Invocation& call) {
  const Command& command = *call.command;
  std::size_t least = 0;
  std::size_t most = 0;
  bool any = false;
  for (std::size_t at = 0; at < command.words.size();) {
    auto end = command.words.find(' ', at);
    if (end == std::string_view::npos) end = command.words.size();
    const auto word = command.words.substr(at, end - at);
    if (word.front() != '[') ++least;
    ++most;
    any = any || word.ends_with("...");
    at = end + 1;
  }
  if (call.words.size() < least) {
    return usage(fmt::format("`{}` needs {}", command.name, command.words),
                 fmt::format("`tapeline {} --help` has an example.", command.name));
  }
  if (!any && call.words.size() > most) {
    return usage(
        fmt::format("`{}` does not know what to do with '{}'", command.name, call.words[most]),
        fmt::format("`tapeline {} --help` has an example.", command.name));
  }
  return Ok{};
}

/// Whether `word` begins the names of several commands, as `dag` does.
bool is_group(std::string_view word) {
  return std::ranges::any_of(kCommands, [&](const Command& command) {
    return command.name.size() > word.size() && command.name.starts_with(word) &&
           command.name[word.size()] == ' ';
  });
}

/// A line for each command whose name begins with `prefix`.
std::string command_lines(std::string_view prefix) {
  const auto listed = [&](const Command& command) { return command.name.starts_with(prefix); };
  std::size_t width = 0;
  for (const Command& command : kCommands) {
    if (listed(command)) width = std::max(width, command.name.size() + command.words.size() + 1);
  }
  std::string out;
  for (const Command& command : kCommands) {
    if (!listed(command)) continue;
    out += fmt::format("  {:<{}}  {}\n", fmt::format("{} {}", command.name, command.words), width,
                       command.summary);
  }
  return out;
}

std::string flag_lines(std::span<const Flag> flags) {
  std::size_t width = 0;
  const auto left = [](const Flag& flag) {
    const std::string letter = flag.letter != '\0' ? fmt::format("-{}, ", flag.letter) : "";
    return fmt::format("{}--{}{}{}", letter, flag.name, flag.value.empty() ? "" : " ", flag.value);
  };
  for (const Flag& flag : flags) width = std::max(width, left(flag).size());
  std::string out;
  for (const Flag& flag : flags) {
    out += fmt::format("  {:<{}}  {}{}\n", left(flag), width, flag.help,
                       flag.fallback.empty() ? "" : fmt::format(" [{}]", flag.fallback));
  }
  return out;
}

}  // namespace

std::span<const Flag> common_flags() { return kCommon; }
std::span<const Command> commands() { return kCommands; }

std::optional<std::string> Invocation::value(std::string_view flag) const {
  const auto found = values.find(flag);
  if (found == values.end()) return std::nullopt;
  return found->second;
}

std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  std::string best;
  int best_distance = static_cast<int>(std::max<std::size_t>(2, word.size() / 3)) + 1;
  for (const std::string& name : names) {
    const int far = distance(word, name);
    if (far < best_distance && far < std::ssize(word)) {
      best = name;
      best_distance = far;
    }
  }
  return best;
}

Result<Invocation> parse_command_line(const std::vector<std::string>& words) {
  Invocation call;
  if (words.size() > 1 && words[0] == "help") {
    std::vector<std::string> asked(words.begin() + 1, words.end());
    asked.emplace_back("--help");
    return parse_command_line(asked);
  }
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    call.help = true;
    return call;
  }
  if (words[0] == "--version") return parse_command_line({"version"});
  if (words.size() == 2 && (words[1] == "--help" || words[1] == "-h") && is_group(words[0])) {
    call.help = true;
    call.words = {words[0]};
    return call;
  }
  const auto [command, taken] = TRY(find_command(words));
  call.command = command;
  if (command->passes_all) {
    // dbt's own flags are dbt's to read; only ours before its words are taken out.
    std::size_t at = taken;
    while (at < words.size() &&
           (words[at] == "--data-dir" || words[at].starts_with("--data-dir="))) {
      TRY_STATUS(read_flag(call, words, at));
      ++at;
    }
    call.words.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
    for (std::size_t i = 0; i < call.words.size();) {
      if (call.words[i] == "--data-dir" && i + 1 < call.words.size()) {
        call.values["data-dir"] = call.words[i + 1];
        call.words.erase(call.words.begin() + static_cast<std::ptrdiff_t>(i),
                         call.words.begin() + static_cast<std::ptrdiff_t>(i) + 2);
      } else {
        ++i;
      }
    }
    call.help = call.words.empty() || std::ranges::find(call.words, "--help") != call.words.end();
    return call;
  }
  for (std::size_t at = taken; at < words.size(); ++at) {
    if (words[at].size() > 1 && words[at][0] == '-') {
      TRY_STATUS(read_flag(call, words, at));
    } else {
      call.words.push_back(words[at]);
    }
  }
  if (!call.help) TRY_STATUS(check_words(call));
  return call;
}

std::string help() {
  std::string out =
      "tapeline: quotes and trades, from feed to live dashboard, in one program\n\n"
      "  tapeline up                    a live chart of a simulated exchange; no account, no key\n"
      "  tapeline import FILE...        load years of real history\n"
      "  tapeline COMMAND --help        flags and examples of a command\n\n"
      "commands:\n";
  return out + command_lines("") +
         "\nexit codes: 0 done, 1 it ran and something in it failed, 2 usage, "
         "configuration or internal error\n";
}

std::string help_of_group(std::string_view group) {
  return fmt::format(
      "tapeline {0} COMMAND\n\ncommands:\n{1}\n`tapeline {0} COMMAND --help` shows its flags, "
      "and examples.\n",
      group, command_lines(fmt::format("{} ", group)));
}

std::string help(const Command& command) {
  std::string out = fmt::format("tapeline {}{}{}: {}\n\n", command.name,
                                command.words.empty() ? "" : " ", command.words, command.summary);
  std::vector<Flag> flags(command.flags.begin(), command.flags.end());
  if (command.passes_all) {
    flags.push_back(kCommon[0]);
    out += transform::command_line_help() + '\n';
  } else {
    flags.insert(flags.end(), kCommon.begin(), kCommon.end());
  }
  out += flag_lines(flags);
  out += "\nexamples:\n";
  for (std::size_t at = 0; at < command.examples.size();) {
    auto end = command.examples.find('\n', at);
    if (end == std::string_view::npos) end = command.examples.size();
    out += fmt::format("  {}\n", command.examples.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::string cli_reference() {
  std::string out =
      "# Command line\n\nGenerated from the program's own table; a test compares the two "
      "(`TAPELINE_UPDATE=1` writes it).\n\n"
      "```\n" +
      help() + "```\n";
  for (const Command& command : kCommands) {
    out += fmt::format("\n## {}\n\n```\n{}```\n", command.name, help(command));
  }
  return out;
}

}  // namespace tapeline::app
