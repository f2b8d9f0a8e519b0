#include "serve/answer_cache.h"

namespace tapeline::serve {

std::optional<std::string> AnswerCache::find(const std::string& request,
                                             std::uint64_t version) const {
  return answers_.with([&](const Answers& answers) -> std::optional<std::string> {
    if (answers.version != version) return std::nullopt;
    const auto found = answers.of.find(request);
    if (found == answers.of.end()) return std::nullopt;
    return found->second;
  });
}

void AnswerCache::keep(const std::string& request, std::uint64_t version,
                       const std::string& answer) {
  answers_.with([&](Answers& answers) {
    if (version < answers.version) return;  // older than what is kept
    if (version > answers.version) answers = {.version = version};
    const std::size_t bytes = request.size() + answer.size();
    if (answers.bytes + bytes > bytes_max_) return;
    if (answers.of.emplace(request, answer).second) answers.bytes += bytes;
  });
}

}  // namespace tapeline::serve
