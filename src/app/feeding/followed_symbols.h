// FollowedSymbols: which symbols a market directory follows: those of the configuration, and what
// was added and removed since. Kept with the data, changed while the feed runs.

#pragma once

#include <string>
#include <vector>

#include "base/guarded.h"
#include "market/symbol.h"
#include "state/settings.h"

namespace tapeline::app {

/// lifetime: the settings must outlive it
/// threads:  any
class FollowedSymbols {
 public:
  static constexpr std::size_t kSymbolsMax = 1000;

  /// `configured` is the setting `symbols`, in any case.
  /// errors: invalid_argument (what is no symbol), those of the settings
  static Result<std::unique_ptr<FollowedSymbols>> open(state::Settings& settings,
                                                       const std::vector<std::string>& configured);

  /// In the configuration's order, then as they were added.
  std::vector<Symbol> list() const { return symbols_.copy().followed; }

  /// All or none of them. What is followed already, or was not, is fine.
  /// promise: kept over a restart when this returns
  /// errors:  invalid_argument (no symbol, too many)
  Status add(const std::vector<std::string>& names);
  Status remove(const std::vector<std::string>& names);

 private:
  struct Lists {
    std::vector<Symbol> configured;
    std::vector<Symbol> added;
    std::vector<Symbol> removed;
    std::vector<Symbol> followed;
  };
  explicit FollowedSymbols(state::Settings& settings) : settings_(settings) {}
  Status change(const std::vector<std::string>& names, bool add);

  state::Settings& settings_;
  Guarded<Lists> symbols_;
};

/// Reads symbols as people write them: in any case.
/// errors: invalid_argument, naming the one that is none
Result<std::vector<Symbol>> parse_symbols(const std::vector<std::string>& names);

}  // namespace tapeline::app
