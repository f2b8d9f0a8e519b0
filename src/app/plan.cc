#include "app/plan.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

namespace tapeline::app {
namespace {

Role role_of(std::string_view command) {
  for (const Role role : {Role::replay, Role::produce, Role::load, Role::serve}) {
    if (command == to_string(role)) return role;
  }
  return Role::up;
}

/// errors: invalid_argument
Result<std::string> feed_of(Role role, const Config& config) {
  if (role == Role::replay) return std::string("replay");
  if (role == Role::load || role == Role::serve) return std::string("none");
  std::string feed = config.text("feed");
  const bool has_key = !config.text("finnhub.api_key").empty();
  if (has_key && config.value("feed").origin == "default") feed = "finnhub";
  if (feed == "replay") {
    return Error{ErrorCode::invalid_argument, "the feed 'replay' needs files",
                 "Write tapeline replay FILE..."};
  }
  if (role == Role::produce && feed == "none") {
    return Error{ErrorCode::invalid_argument, "a producer without a feed has nothing to do",
                 "Write --feed simulator or --feed finnhub."};
  }
  if (feed != "simulator" && feed != "finnhub" && feed != "none") {
    return Error{ErrorCode::invalid_argument, fmt::format("there is no feed '{}'", feed),
                 "Feeds are simulator, finnhub, replay and none."};
  }
  return feed;
}

}  // namespace

std::string Address::url() const { return fmt::format("http://{}:{}", host, port); }

Result<Address> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  Address address;
  int port = -1;
  if (colon != std::string::npos) {
    address.host = text.substr(0, colon);
    const char* end = text.data() + text.size();
    const auto [at, failed] = std::from_chars(text.data() + colon + 1, end, port);
    if (failed != std::errc() || at != end) port = -1;
  }
  if (address.host.empty() || port < 0 || port > 65535) {
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no address", text),
                 "Write it like 127.0.0.1:8787."};
  }
  if (address.host == "localhost") address.host = "127.0.0.1";
  if (!address.host.starts_with("127.") && address.host != "::1") {
    return Error{
        ErrorCode::unsupported,
        fmt::format("listening on '{}' would show the dashboard beyond this machine", address.host),
        "That needs TLS, which comes with a later release. Until then listen on 127.0.0.1 and put "
        "a reverse proxy with TLS before it, or open a tunnel: ssh -L 8787:127.0.0.1:8787 HOST."};
  }
  address.port = static_cast<std::uint16_t>(port);
  return address;
}

Result<Plan> make_plan(io::FileSystem& files, const Environment& environment, const Config& config,
                       const Call& call) {
  Plan plan;
  plan.role = role_of(call.line.command->name);
  plan.name = fmt::format("{}-{}", to_string(plan.role), ::getpid());
  plan.feed = TRY(feed_of(plan.role, config));
  plan.own_symbols = plan.role == Role::produce && config.value("symbols").origin != "default";
  const bool shows = plan.role != Role::produce && plan.role != Role::load;
  plan.address = shows ? TRY(parse_address(config.text("listen"))) : Address{"127.0.0.1", 0};
  plan.kind = plan.feed == "simulator" ? DirectoryKind::simulated : DirectoryKind::market;
  if (plan.role == Role::load || plan.role == Role::serve) {
    plan.path = TRY(choose_directory(files, environment, config.text("data_dir"), false));
  } else {
    plan.path =
        config.text("data_dir").empty()
            ? default_directory(environment, plan.kind)
            : std::filesystem::absolute(config.text("data_dir")).lexically_normal().string();
  }
  const std::filesystem::path market = default_directory(environment, DirectoryKind::market);
  plan.lock_folder = market.parent_path() / "keys";
  plan.lease = std::chrono::milliseconds(TRY(config.integer("members.lease_ms", 1000, 3'600'000)));
  return plan;
}

}  // namespace tapeline::app
