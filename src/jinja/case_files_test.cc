// Renders every case file of tests/cases/jinja, whose expected parts are what Python's Jinja2
// says (oracle.py there), and compares the text or that there is an error.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "jinja/template.h"

namespace tapeline::jinja {
namespace {

class DictContext : public Context {
 public:
  std::optional<Value> lookup(const std::string& name) override {
    if (name == "return") return return_function();
    return names.find(name);
  }
  Value names = Value::dict();
};

struct Case {
  std::string name, context, source;
  std::optional<std::string> expected;  // none: an error
};

std::string between(std::string_view text, std::string_view begin, std::string_view end) {
  const std::size_t from = begin.empty() ? 0 : text.find(begin) + begin.size();
  return std::string(text.substr(from, text.find(end, from) - from));
}

std::vector<Case> read_cases(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  const std::string text = content.str();
  std::vector<Case> cases;
  constexpr std::string_view kHead = "=== ";
  for (std::size_t at = text.find(kHead); at != std::string::npos;) {
    const std::size_t next = text.find(kHead, at + 1);
    const std::string_view part = std::string_view(text).substr(at, next - at);
    Case found{
        between(part, kHead, "\n"), between(part, "\ncontext: ", "\n--- template\n"), "", {}};
    if (part.find("\n--- error") != std::string_view::npos) {
      found.source = between(part, "\n--- template\n", "\n--- error");
    } else {
      found.source = between(part, "\n--- template\n", "\n--- expected\n");
      const std::string_view mark = "\n--- expected\n";
      found.expected = part.substr(part.find(mark) + mark.size());
      found.expected->pop_back();
    }
    cases.push_back(std::move(found));
    at = next;
  }
  return cases;
}

Result<std::string> rendered(const Case& given) {
  DictContext context;
  const Template names = TRY(Template::parse("{{" + given.context + "}}", "context"));
  context.names = TRY(names.render_native(context));
  const Template parsed = TRY(Template::parse(given.source, given.name));
  return parsed.render(context);
}

TEST(CaseFiles, render_as_python_does) {
  std::size_t count = 0;
  const std::filesystem::path folder = TAPELINE_SOURCE_DIR "/tests/cases/jinja";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".txt") continue;
    for (const Case& given : read_cases(entry.path())) {
      SCOPED_TRACE(entry.path().filename().string() + ": " + given.source);
      ++count;
      const Result<std::string> result = rendered(given);
      if (!given.expected) {
        EXPECT_FALSE(result) << "rendered " << *result;
      } else if (!result) {
        ADD_FAILURE() << result.error().message;
      } else {
        EXPECT_EQ(*result, *given.expected);
      }
    }
  }
  EXPECT_GT(count, 400U);
}

}  // namespace
}  // namespace tapeline::jinja
