// The table of all commands: what the parser, --help, the shells' completion and docs/cli.md read.

#include <array>

#include "app/cli/cli.h"

namespace tapeline::app {
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
constexpr std::array kProduce = {
    Flag{"feed", "NAME", "", "simulator or finnhub [finnhub with a key, else simulator]"},
    kUp[2],
    kUp[3],
    kUp[4],
    kUp[5],
    kUp[6],
};
constexpr std::array kServe = {
    kUp[1],
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
    Command{"produce", "", "feed a data directory, beside other processes of it", Place::owner,
            kProduce,
            "tapeline produce --feed simulator\n"
            "FINNHUB_API_KEY=… tapeline produce --symbols AAPL,MSFT"},
    Command{"load",
            "",
            "load a data directory's topic, beside other processes of it",
            Place::owner,
            {},
            "tapeline load"},
    Command{"serve", "", "show a data directory, beside other processes of it", Place::owner,
            kServe, "tapeline serve --listen 127.0.0.1:8788"},
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

}  // namespace

std::span<const Flag> common_flags() { return kCommon; }
std::span<const Command> commands() { return kCommands; }

}  // namespace tapeline::app
