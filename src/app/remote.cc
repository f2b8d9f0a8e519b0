#include "app/remote.h"

#include <fmt/format.h>

#include "app/members/requests.h"
#include "io/http_client.h"
#include "msglog/rules.h"
#include "serve/base64.h"
#include "text/value.h"

namespace tapeline::app {
namespace {

constexpr Duration kProduceMax = std::chrono::seconds(60);
constexpr std::size_t kBytesPerRequest = 4 << 20;

/// Where the owner stopped, another or the same one later may do it.
ErrorCode code_of(std::string_view name) {
  for (const ErrorCode code :
       {ErrorCode::invalid_argument, ErrorCode::not_found, ErrorCode::already_exists,
        ErrorCode::corrupt, ErrorCode::timed_out, ErrorCode::unsupported}) {
    if (to_string(code) == name) return code;
  }
  return ErrorCode::unavailable;
}

Error error_of(const text::Value& frame) {
  const text::Value* found = frame.find("error");
  const text::Value error = found ? *found : text::Value();
  return Error{code_of(error.string_or("code", "")),
               error.string_or("message", "the owner refused"), error.string_or("hint", "")};
}

bool is_member(const serve::CommandLine& line) {
  return line.argv.size() == 2 && line.argv[0] == kMemberCommand;
}

/// One process to another: the page's API, without a login because the socket is the login.
io::HttpAddress address_of(const Owner& owner) { return {.socket_path = owner.socket}; }

}  // namespace

ExitCode run_remotely(const Owner& owner, const std::vector<std::string>& words,
                      const std::string& folder, Terminal& terminal, std::stop_token stop,
                      Duration idle_max) {
  text::List argv;
  for (const auto& word : words) argv.emplace_back(word);
  text::Value body;
  body.set("argv", text::Value(std::move(argv)));
  body.set("cwd", folder);
  body.set("progress", terminal.look().progress);
  std::optional<int> exit;
  std::optional<Error> refused;
  const auto on_line = [&](std::string_view line) {
    const auto frame = text::parse_json(line);
    if (!frame) return true;
    if (const auto* out = frame->find("out")) terminal.out(out->as_string());
    if (const auto* out = frame->find("out_base64"))
      terminal.out(serve::base64_decode(out->as_string()).value_or(""));
    if (const auto* err = frame->find("err")) terminal.err(err->as_string());
    if (const auto* err = frame->find("err_base64"))
      terminal.err(serve::base64_decode(err->as_string()).value_or(""));
    if (frame->find("exit")) exit = static_cast<int>(frame->int_or("exit", 2));
    if (frame->find("error")) refused = error_of(*frame);
    return true;
  };
  TRY_STATUS(io::http_lines(
      address_of(owner),
      {"POST", "/api/v1/commands", {{"Content-Type", "application/json"}}, text::to_json(body)},
      idle_max, stop, on_line));
  if (refused) return *refused;
  if (!exit) {
    return Error{ErrorCode::unavailable, "the running tapeline went away before it was done", ""};
  }
  return *exit;
}

Result<std::vector<msglog::Position>> append_lines(const Owner& owner, const std::string& topic,
                                                   std::string_view rest, std::stop_token stop) {
  std::vector<msglog::Position> positions;
  while (!rest.empty()) {
    std::size_t lines = 0;
    std::size_t end = 0;
    while (end < rest.size() && lines < msglog::kRecordsMax) {
      auto next = rest.find('\n', end);
      next = next == std::string_view::npos ? rest.size() : next + 1;
      if (end > 0 && next > kBytesPerRequest) break;
      end = next;
      ++lines;
    }
    const auto answer =
        TRY(io::http_call(address_of(owner),
                          {"POST",
                           "/api/v1/topics/" + io::percent_encode(topic) + "/records",
                           {{"Content-Type", "application/x-ndjson"}},
                           std::string(rest.substr(0, end))},
                          kProduceMax, stop));
    const auto json = TRY(text::parse_json(answer.body));
    if (answer.status != 200) return error_of(json);
    const text::Value* records = json.find("records");
    for (const text::Value& one : records ? records->as_list() : text::List{}) {
      positions.push_back(
          {static_cast<std::int32_t>(one.int_or("partition", 0)), one.int_or("offset", -1)});
    }
    rest.remove_prefix(end);
  }
  return positions;
}

ExitCode produce_remotely(const Owner& owner, const Call& call) {
  const auto positions = TRY(append_lines(owner, call.line.words[0], call.input, call.stop));
  text::Value row;
  row.set("topic", call.line.words[0]);
  row.set("appended", static_cast<std::int64_t>(positions.size()));
  print_objects(call, {row});
  return 0;
}

serve::Lane lane_of(const serve::CommandLine& line) {
  if (is_member(line)) return member_lane(line.argv[1]);
  const auto invocation = parse_command_line(line.argv);
  if (!invocation || !invocation->command) return serve::Lane::command;
  const std::string_view name = invocation->command->name;
  const bool is_endless = (name == "topic tail" && !invocation->has("no-follow")) ||
                          (name == "status" && invocation->has("watch"));
  return is_endless ? serve::Lane::endless : serve::Lane::command;
}

Result<int> run_for_other(Pipeline& pipeline, const serve::CommandLine& line,
                          const serve::CommandOutput& output, std::stop_token stop) {
  if (is_member(line)) return answer_member(pipeline, line.argv[1], output, stop);
  const auto invocation = TRY(parse_command_line(line.argv));
  if (!invocation.command || invocation.command->place != Place::directory) {
    return Error{ErrorCode::unsupported, "this command does not run inside a running tapeline", ""};
  }
  // A reader that went away ends the command, as a broken pipe would.
  std::stop_source gone;
  const std::stop_callback on_stop(stop, [&] { gone.request_stop(); });
  const auto write_to = [&](bool is_error) {
    return [&output, &gone, is_error](std::string_view text) {
      if (!output(is_error, text)) gone.request_stop();
    };
  };
  Terminal terminal(write_to(false), write_to(true), {.progress = line.progress});
  const Call call{invocation, line.cwd, "", terminal, gone.get_token()};
  const auto exit = run_in_directory(pipeline, call);
  if (exit) return *exit;
  terminal.error(exit.error());
  return 2;
}

}  // namespace tapeline::app
