#include "feeds/finnhub/subscriptions.h"

#include <algorithm>

#include "feeds/finnhub/decode.h"

namespace tapeline::feeds::finnhub {

void Subscriptions::restart() {
  sent_.clear();
  limit_ = symbols_max_;
}

std::vector<std::string> Subscriptions::follow(const std::vector<Symbol>& wanted) {
  std::vector<std::string> messages;
  std::erase_if(sent_, [&](const Symbol& symbol) {
    const bool gone = std::ranges::find(wanted, symbol) == wanted.end();
    if (gone) messages.push_back(subscribe_message(symbol, false));
    return gone;
  });
  std::erase_if(invalid_, [&](const Symbol& symbol) {
    return std::ranges::find(wanted, symbol) == wanted.end();
  });
  for (const Symbol& symbol : wanted) {
    if (sent_.size() >= limit_) break;
    if (delivers(symbol) || is_invalid(symbol)) continue;
    sent_.push_back(symbol);
    messages.push_back(subscribe_message(symbol, true));
  }
  return messages;
}

std::vector<std::string> Subscriptions::renew(const Symbol& symbol) const {
  if (!delivers(symbol)) return {};
  return {subscribe_message(symbol, false), subscribe_message(symbol, true)};
}

Subscriptions::Refusal Subscriptions::refused(std::string_view message) {
  constexpr std::string_view kInvalid = "Invalid symbol";
  if (message.find("too many symbols") != std::string_view::npos) {
    if (!sent_.empty()) {
      sent_.pop_back();
      limit_ = sent_.size();
    }
    return Refusal::over_limit;
  }
  if (message.starts_with(kInvalid)) {
    std::string_view rest = message.substr(kInvalid.size());
    while (rest.starts_with(' ') || rest.starts_with(':')) rest.remove_prefix(1);
    const auto symbol = Symbol::parse(rest.substr(0, rest.find(' ')));
    if (symbol && std::erase(sent_, *symbol) > 0) invalid_.insert(*symbol);
    return Refusal::invalid;
  }
  return Refusal::other;
}

bool Subscriptions::delivers(const Symbol& symbol) const {
  return std::ranges::find(sent_, symbol) != sent_.end();
}

}  // namespace tapeline::feeds::finnhub
