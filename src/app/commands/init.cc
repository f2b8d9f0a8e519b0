#include <fmt/format.h>

#include "app/commands/commands.h"
#include "app/feeding/followed_symbols.h"
#include "text/words.h"

namespace tapeline::app {
namespace {

struct Answers {
  std::string feed;
  std::string key;  // Finnhub's
  std::vector<Symbol> symbols;
  std::string data_dir;  // empty: the default
};

std::string fallback_of(std::string_view key) {
  for (const Setting& setting : settings()) {
    if (setting.key == key) return std::string(setting.fallback);
  }
  return "";
}

/// Feed and key: the first question.
Status ask_feed(const Environment& environment, const Ask& ask, const Call& call,
                Answers& answers) {
  const auto known = environment.find("FINNHUB_API_KEY");
  const std::string key = known == environment.end() ? "" : known->second;
  if (const auto feed = call.line.value("feed")) {
    if (*feed != "simulator" && *feed != "finnhub") {
      return Error{ErrorCode::invalid_argument, fmt::format("there is no feed '{}'", *feed),
                   "Feeds are simulator and finnhub."};
    }
    answers.feed = *feed;
  } else if (call.line.has("yes")) {
    answers.feed = "simulator";
  }
  if (answers.feed == "simulator") return Ok{};
  if (answers.feed == "finnhub" && !key.empty()) {
    answers.key = key;
    return Ok{};
  }
  if (!call.line.has("yes")) {
    const auto typed =
        ask("1. Your Finnhub API key, free at finnhub.io; Enter alone takes the simulator: ", true);
    answers.key = text::trimmed(typed.value_or(""));
  }
  if (answers.key.find_first_of(" \t\"'\\\n") != std::string::npos) {
    return Error{ErrorCode::invalid_argument, "that is no API key", "It is letters and digits."};
  }
  if (answers.feed == "finnhub" && answers.key.empty()) {
    return Error{ErrorCode::invalid_argument, "the feed finnhub needs an API key",
                 "Set FINNHUB_API_KEY, or run tapeline init at a terminal, which asks for it."};
  }
  if (answers.feed.empty()) answers.feed = answers.key.empty() ? "simulator" : "finnhub";
  return Ok{};
}

Result<Answers> ask_all(const Environment& environment, const Ask& ask, const Call& call) {
  Answers answers;
  TRY_STATUS(ask_feed(environment, ask, call, answers));
  std::string symbols = call.line.value("symbols").value_or("");
  if (symbols.empty() && !call.line.has("yes")) {
    symbols = text::trimmed(
        ask(fmt::format("2. Symbols, with commas [{}]: ", fallback_of("symbols")), false)
            .value_or(""));
  }
  if (symbols.empty()) symbols = fallback_of("symbols");
  answers.symbols = TRY(parse_symbols(text::comma_list(symbols)));
  if (answers.symbols.empty()) {
    return Error{ErrorCode::invalid_argument, "no symbol is named", "Name some: AAPL,MSFT."};
  }
  const auto kind = answers.feed == "simulator" ? DirectoryKind::simulated : DirectoryKind::market;
  const std::string usual = default_directory(environment, kind);
  std::string data_dir = call.line.value("data-dir").value_or("");
  if (data_dir.empty() && !call.line.has("yes")) {
    data_dir =
        text::trimmed(ask(fmt::format("3. Where the data go [{}]: ", usual), false).value_or(""));
  }
  if (data_dir.starts_with("~/")) {
    const auto home = environment.find("HOME");
    data_dir = (home == environment.end() ? "" : home->second) + data_dir.substr(1);
  }
  if (!data_dir.empty() && call.path(data_dir) != usual) answers.data_dir = call.path(data_dir);
  return answers;
}

/// A text as TOML has it.
std::string toml_text(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string toml_of(const Answers& answers) {
  std::string symbols;
  for (const Symbol& symbol : answers.symbols) {
    symbols += (symbols.empty() ? "" : ", ") + toml_text(symbol.text());
  }
  std::string toml = fmt::format(
      "# Written by `tapeline init`. `tapeline config show --origin` lists every key there is.\n"
      "feed = {}\nsymbols = [{}]\n",
      toml_text(answers.feed), symbols);
  if (!answers.data_dir.empty()) {
    toml += fmt::format("data_dir = {}\n", toml_text(answers.data_dir));
  }
  return toml;
}

/// Makes room for a file: nothing that is there is lost.
Status make_room(io::FileSystem& files, const std::string& path, const Ask& ask, const Call& call) {
  if (!TRY(files.info(path))) return Ok{};
  bool replace = call.line.has("force");
  if (!replace && !call.line.has("yes")) {
    const auto typed = ask(fmt::format("'{}' is there. Replace it? [y/N] ", path), false);
    replace = typed && (text::trimmed(*typed) == "y" || text::trimmed(*typed) == "yes");
  }
  if (!replace) {
    return Error{ErrorCode::already_exists, fmt::format("'{}' is there already", path),
                 "Edit it, or replace it with --force; the old one is kept as *.old."};
  }
  return files.rename(path, path + ".old");
}

}  // namespace

ExitCode init(io::FileSystem& files, const Environment& environment, const Ask& ask,
              const Call& call) {
  const std::string folder =
      call.path(call.line.value("folder").value_or(user_folder(environment)));
  const std::string toml = folder + "/tapeline.toml";
  const std::string secrets = folder + "/secrets.env";
  const Answers answers = TRY(ask_all(environment, ask, call));
  TRY_STATUS(make_room(files, toml, ask, call));
  if (!answers.key.empty()) TRY_STATUS(make_room(files, secrets, ask, call));
  TRY_STATUS(io::make_directories(files, folder));
  TRY_STATUS(io::write_file_atomically(files, toml, toml_of(answers)));
  std::vector<std::string> written = {toml};
  if (!answers.key.empty()) {
    TRY_STATUS(
        write_private_file(files, secrets, fmt::format("FINNHUB_API_KEY={}\n", answers.key)));
    written.push_back(secrets);
  }
  if (call.json()) {
    text::Value result;
    result.set("feed", answers.feed);
    text::List names(written.begin(), written.end());
    result.set("written", text::Value(std::move(names)));
    call.terminal.out(text::to_json(result) + "\n");
    return 0;
  }
  for (const auto& path : written) call.terminal.out(fmt::format("wrote {}\n", path));
  call.terminal.out(
      "\n  tapeline doctor   checks that everything is in place\n"
      "  tapeline up       starts, and prints the dashboard's address\n");
  return 0;
}

}  // namespace tapeline::app
