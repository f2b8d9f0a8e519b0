#include "app/members/owner_link.h"

#include <fmt/format.h>

#include "app/remote.h"
#include "serve/base64.h"
#include "telemetry/logging.h"
#include "wire/message.h"

namespace tapeline::app {
namespace {

constexpr Duration kAnswerMax = std::chrono::seconds(60);  // a load of another one is before ours
constexpr Duration kFarewellMax = std::chrono::seconds(2);

}  // namespace

Status OwnerLink::ask(const text::Value& request, Duration time_max,
                      const std::function<void(std::string_view)>& on_line) {
  std::string rest;
  std::string error;
  const auto out = [&](std::string_view text) {
    rest += text;
    std::size_t from = 0;
    for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', from)) {
      on_line(std::string_view(rest).substr(from, end - from));
      from = end + 1;
    }
    rest.erase(0, from);
  };
  Terminal terminal(out, [&](std::string_view text) { error += text; }, {});
  const auto exit = run_remotely(owner_, {std::string(kMemberCommand), text::to_json(request)}, "",
                                 terminal, stop_, time_max);
  if (!exit) return exit.error();
  if (*exit == 0) return Ok{};
  while (error.ends_with('\n')) error.pop_back();
  return Error{ErrorCode::unavailable,
               fmt::format("the owner answered with exit code {}: {}", *exit, error), ""};
}

Result<text::Value> OwnerLink::ask(const text::Value& request) {
  std::string answer;
  TRY_STATUS(ask(request, kAnswerMax, [&](std::string_view line) { answer = line; }));
  if (answer.empty()) return text::Value();
  return text::parse_json(answer);
}

Result<std::vector<msglog::Position>> OwnerLink::append(const std::string& topic,
                                                        std::span<const msglog::Record> records) {
  std::string lines;
  for (const msglog::Record& record : records) {
    lines += R"({"key":)";
    text::append_json_string(lines, record.key);
    lines += fmt::format(R"(,"value_base64":"{}"}})", serve::base64_encode(record.value));
    lines += '\n';
  }
  return append_lines(owner_, topic, lines, stop_);
}

Result<FeedGround> OwnerLink::ground(const GroundRequest& request) {
  return feed_ground(TRY(ask(ground_message(request))));
}

Status OwnerLink::each_of_today(Timestamp now, const std::function<void(const Quote&)>& use) {
  wire::Decoder decoder(DirectoryKind::market);
  return ask(today_request(now), kAnswerMax, [&](std::string_view line) {
    wire::QuoteView row;
    if (!decoder.decode(line, now, row)) use(wire::quote_of(row));
    decoder.forget();
  });
}

Result<FeedShare> OwnerLink::renew(const Leases::Member& member, const FeedReport& report) {
  return feed_share(TRY(ask(feed_request(member, report, lease_))));
}

Status OwnerLink::on_gap(const feeds::Gap& gap) {
  TRY(ask(gap_request(gap)));
  return Ok{};
}

Result<LoadShare> OwnerLink::load(const std::string& name) {
  return load_share(TRY(ask(load_request(name, lease_))));
}

void OwnerLink::leave(std::string_view group, const std::string& name) {
  OwnerLink farewell(owner_, lease_, {});  // ours may have been stopped
  const Status left =
      farewell.ask(leave_request(group, name), kFarewellMax, [](std::string_view) {});
  if (!left)
    telemetry::log(telemetry::Level::debug, "leaving", telemetry::error_fields(left.error()));
}

}  // namespace tapeline::app
