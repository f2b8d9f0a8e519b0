#include "app/feeding/followed_symbols.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/words.h"

namespace tapeline::app {
namespace {

constexpr std::string_view kAdded = "symbols.added";
constexpr std::string_view kRemoved = "symbols.removed";

bool holds(const std::vector<Symbol>& list, const Symbol& symbol) {
  return std::ranges::find(list, symbol) != list.end();
}

void put(std::vector<Symbol>& list, const Symbol& symbol) {
  if (!holds(list, symbol)) list.push_back(symbol);
}

std::string joined(const std::vector<Symbol>& list) {
  std::string text;
  for (const Symbol& symbol : list) text.append(text.empty() ? "" : ",").append(symbol.text());
  return text;
}

Result<std::vector<Symbol>> read(state::Settings& settings, std::string_view key) {
  return parse_symbols(text::comma_list(TRY(settings.get(key)).value_or("")));
}

}  // namespace

Result<std::vector<Symbol>> parse_symbols(const std::vector<std::string>& names) {
  std::vector<Symbol> symbols;
  for (std::string name : names) {
    std::ranges::transform(name, name.begin(), [](char c) {
      return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    put(symbols, TRY(Symbol::parse(name)));
  }
  return symbols;
}

Result<std::unique_ptr<FollowedSymbols>> FollowedSymbols::open(
    state::Settings& settings, const std::vector<std::string>& configured) {
  Lists lists;
  lists.configured = TRY(parse_symbols(configured));
  lists.added = TRY(read(settings, kAdded));
  lists.removed = TRY(read(settings, kRemoved));
  for (const auto* list : {&lists.configured, &lists.added}) {
    for (const Symbol& symbol : *list) {
      if (!holds(lists.removed, symbol)) put(lists.followed, symbol);
    }
  }
  auto symbols = std::unique_ptr<FollowedSymbols>(new FollowedSymbols(settings));
  symbols->symbols_.with([&](Lists& its) { its = std::move(lists); });
  return symbols;
}

Status FollowedSymbols::change(const std::vector<std::string>& names, bool add) {
  const auto symbols = TRY(parse_symbols(names));
  // The settings are written under the lock: two changes must not lose one another.
  return symbols_.with([&](Lists& its) -> Status {
    Lists next = its;
    for (const Symbol& symbol : symbols) {
      std::erase(add ? next.removed : next.added, symbol);
      std::erase(next.followed, symbol);
      if (add) {
        if (!holds(next.configured, symbol)) put(next.added, symbol);
        const auto place = std::ranges::find(its.followed, symbol) - its.followed.begin();
        next.followed.insert(
            next.followed.begin() + std::min<std::ptrdiff_t>(place, std::ssize(next.followed)),
            symbol);
      } else if (holds(next.configured, symbol)) {
        put(next.removed, symbol);
      }
    }
    if (next.followed.size() > kSymbolsMax) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("more than {} symbols cannot be followed", kSymbolsMax), ""};
    }
    TRY_STATUS(settings_.set(kAdded, joined(next.added)));
    TRY_STATUS(settings_.set(kRemoved, joined(next.removed)));
    its = std::move(next);
    return Ok{};
  });
}

Status FollowedSymbols::add(const std::vector<std::string>& names) { return change(names, true); }
Status FollowedSymbols::remove(const std::vector<std::string>& names) {
  return change(names, false);
}

}  // namespace tapeline::app
