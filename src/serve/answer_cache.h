// AnswerCache: answers that were read from the warehouse, for as long as it has not changed.
//
// Pages ask the same at the same time: each run makes every open page ask again. All answers
// that are kept were read at one version of the warehouse (Warehouse::version); the first that
// was read at a later one puts them away. So nothing has to know what a run, a retention cut or
// a command wrote.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/guarded.h"

namespace tapeline::serve {

/// threads: any
class AnswerCache {
 public:
  explicit AnswerCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// The answer to `request`, if it is kept and was read at `version`.
  std::optional<std::string> find(const std::string& request, std::uint64_t version) const;

  /// Keeps an answer. `version` is what the warehouse gave before the first row was read.
  void keep(const std::string& request, std::uint64_t version, const std::string& answer);

 private:
  struct Answers {
    std::uint64_t version = 0;
    std::size_t bytes = 0;
    std::map<std::string, std::string> of;
  };
  const std::size_t bytes_max_;
  Guarded<Answers> answers_;
};

}  // namespace tapeline::serve
