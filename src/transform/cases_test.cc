// Goal: the engine does what dbt does. Method: case files under tests/cases/dbt, each a small
// project with commands and what must come of them; oracle.py runs the same files under a real
// dbt. A case file is read like this (two blanks of indentation are cut):
//
//   # what the case shows
//   file PATH            the file's text follows, indented
//   sql STATEMENTS       run on the warehouse
//   run dbt ARGUMENTS    runs a command
//   exit N               its exit code
//   says                 lines that it must print, in this order; times are [TIME]
//   lacks                lines that it must not print
//   rows QUERY           its rows follow, cells parted by " | "

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "transform/command_line.h"
#include "transform/engine.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::transform {
namespace {

namespace fs = std::filesystem;

struct Step {
  std::string verb;
  std::string rest;
  std::vector<std::string> lines;
};

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::vector<Step> read_case(const fs::path& path) {
  std::ifstream in(path);
  std::vector<Step> steps;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('#')) continue;
    if (line.starts_with("  ")) {
      if (!steps.empty()) steps.back().lines.push_back(line.substr(2));
    } else if (line.empty()) {
      if (!steps.empty()) steps.back().lines.emplace_back();
    } else {
      const auto blank = line.find(' ');
      steps.push_back(
          {line.substr(0, blank), blank == std::string::npos ? "" : line.substr(blank + 1), {}});
    }
  }
  for (auto& step : steps)
    while (!step.lines.empty() && step.lines.back().empty()) step.lines.pop_back();
  return steps;
}

/// A command line as a shell splits it: quotes keep words together.
std::vector<std::string> shell_words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  bool open = false;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote)
        quote = 0;
      else
        word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
      open = true;
    } else if (c == ' ') {
      if (open) words.push_back(word);
      word.clear();
      open = false;
    } else {
      word += c;
      open = true;
    }
  }
  if (open) words.push_back(word);
  return words;
}

std::string normalised(std::string line) {
  static const std::regex clock(R"(^\d\d:\d\d:\d\d  ?)");
  static const std::regex took(R"( in [\d.]+s\])");
  static const std::regex dots(R"( \.{2,} )");
  line = std::regex_replace(line, clock, "");
  line = std::regex_replace(line, took, " in [TIME]]");
  line = std::regex_replace(line, dots, " .. ");
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

class Case : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto opened = warehouse::DuckDbWarehouse::open(*clock_, {});
    ASSERT_TRUE(opened) << opened.error().message;
    warehouse_ = *std::move(opened);
    connection_ = *warehouse_->connect();
    files_.set("dbt_project.yml", "name: shop\nprofile: shop\n");
    files_.set("profiles.yml",
               "shop:\n  target: dev\n  outputs:\n"
               "    dev: {type: duckdb, path: shop.duckdb, schema: main, threads: 1}\n"
               "    prod: {type: duckdb, path: shop.duckdb, schema: prod, threads: 1}\n");
  }

  void run(const std::string& arguments) {
    printed_.clear();
    const ConsoleSink sink = [this](std::string_view text) {
      std::istringstream lines{std::string(text)};
      for (std::string line; std::getline(lines, line);) printed_.push_back(normalised(line));
    };
    auto words = shell_words(arguments);
    words.erase(words.begin());  // dbt
    const auto line = parse_command_line(words);
    if (!line) {
      sink("Error: " + line.error().message + "\n" + line.error().hint);
      exit_code_ = 2;
      return;
    }
    Engine::Options options;
    options.target = line->target;
    options.environment = {{"SHOP_ENV", "from env"}};
    options.artifacts = [this](const std::string& path, std::string_view bytes) -> Status {
      artifacts_[path] = bytes;
      return Ok{};
    };
    auto engine = Engine::open(files_, options, *warehouse_, *clock_, rng_);
    ASSERT_TRUE(engine);
    const auto result = (*engine)->invoke(line->invocation, sink);
    ASSERT_TRUE(result) << result.error().message;
    exit_code_ = result->exit_code;
  }

  std::string console() const {
    std::string out;
    for (const auto& line : printed_) out += line + "\n";
    return out;
  }

  void says(const std::vector<std::string>& wanted) const {
    auto at = printed_.begin();
    for (const auto& text : wanted) {
      const auto line = normalised(trimmed(text));
      at = std::find_if(at, printed_.end(), [&](const std::string& printed) {
        return trimmed(printed).find(line) != std::string::npos;
      });
      if (at == printed_.end()) {
        ADD_FAILURE() << "not printed (in this order): " << line << "\nprinted:\n" << console();
        return;
      }
      ++at;
    }
  }

  void rows(const std::string& query, const std::vector<std::string>& wanted) {
    const auto answer = connection_->query(query);
    ASSERT_TRUE(answer) << query << ": " << answer.error().message << "\n" << console();
    std::vector<std::string> got;
    for (const auto& row : answer->rows) {
      std::string line;
      for (const auto& cell : row)
        line += (line.empty() ? "" : " | ") +
                (warehouse::is_null(cell) ? std::string("null") : warehouse::to_text(cell));
      got.push_back(line);
    }
    EXPECT_EQ(got, wanted) << query << "\n" << console();
  }

  std::unique_ptr<Clock> clock_ = make_system_clock();
  Rng rng_{1};
  std::unique_ptr<warehouse::Warehouse> warehouse_;
  std::unique_ptr<warehouse::Connection> connection_;
  ProjectFiles files_;
  std::map<std::string, std::string> artifacts_;
  std::vector<std::string> printed_;
  int exit_code_ = 0;
};

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) out += line + "\n";
  return out;
}

TEST_P(Case, holds) {
  for (const auto& step :
       read_case(fs::path(TAPELINE_SOURCE_DIR) / "tests/cases/dbt" / (GetParam() + ".case"))) {
    SCOPED_TRACE(step.verb + " " + step.rest);
    if (step.verb == "file") {
      files_.set(step.rest, joined(step.lines));
    } else if (step.verb == "sql") {
      const auto done = connection_->query(step.rest + "\n" + joined(step.lines));
      ASSERT_TRUE(done) << done.error().message;
    } else if (step.verb == "run") {
      run(step.rest);
    } else if (step.verb == "exit") {
      EXPECT_EQ(exit_code_, std::stoi(step.rest)) << console();
    } else if (step.verb == "says") {
      says(step.lines);
    } else if (step.verb == "lacks") {
      for (const auto& line : step.lines)
        EXPECT_EQ(console().find(trimmed(line)), std::string::npos) << console();
    } else if (step.verb == "rows") {
      std::vector<std::string> wanted;
      for (const auto& line : step.lines) wanted.push_back(trimmed(line));
      rows(step.rest, wanted);
    } else {
      FAIL() << "no such step: " << step.verb;
    }
  }
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry :
       fs::directory_iterator(fs::path(TAPELINE_SOURCE_DIR) / "tests/cases/dbt"))
    if (entry.path().extension() == ".case") names.push_back(entry.path().stem().string());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Dbt, Case, testing::ValuesIn(case_names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tapeline::transform
