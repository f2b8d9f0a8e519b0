// Goal: `tapeline dbt` on a folder of the disk: what it reads there, what it writes there, and
// what it refuses. What the commands do is the case files' to say (cases_test.cc).

#include "transform/command_line.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::transform {
namespace {

namespace fs = std::filesystem;

class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() : folder_(fs::path(testing::TempDir()) / "command_line_test") {
    fs::remove_all(folder_);
    write("dbt_project.yml", "name: shop\nprofile: shop\n");
    write("profiles.yml",
          "shop: {target: dev, outputs: {dev: {type: duckdb, path: x.duckdb, schema: main}}}\n");
    write("models/a.sql", "select 1 as id");
    warehouse_ = *warehouse::DuckDbWarehouse::open(*clock_, {});
  }
  ~CommandLineTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  std::string read(const std::string& name) {
    std::ostringstream bytes;
    bytes << std::ifstream(folder_ / name).rdbuf();
    return bytes.str();
  }
  int run(std::vector<std::string> words, const std::string& below = "") {
    said_.clear();
    const ConsoleSink sink = [this](std::string_view line) { said_ += std::string(line) + "\n"; };
    const CommandLineWorld world{
        *disk_, *warehouse_, *clock_, rng_, environment_, (folder_ / below).string(), sink};
    const auto code = run_command_line(words, world);
    EXPECT_TRUE(code) << (code ? "" : code.error().message);
    return code ? *code : -1;
  }

  const fs::path folder_;
  std::unique_ptr<io::FileSystem> disk_ = io::make_file_system();
  std::unique_ptr<Clock> clock_ = make_system_clock();
  Rng rng_{1};
  Environment environment_;
  std::unique_ptr<warehouse::DuckDbWarehouse> warehouse_;
  std::string said_;
};

TEST_F(CommandLineTest, it_runs_the_folder_and_leaves_artifacts_in_it) {
  EXPECT_EQ(run({"run"}), 0) << said_;
  EXPECT_NE(said_.find("OK created sql view model main.a"), std::string::npos) << said_;
  EXPECT_EQ(read("target/compiled/shop/models/a.sql"), "select 1 as id");
  EXPECT_NE(read("target/run_results.json").find("model.shop.a"), std::string::npos);
  EXPECT_NE(read("target/manifest.json").find("model.shop.a"), std::string::npos);
}

TEST_F(CommandLineTest, a_folder_is_found_from_where_the_command_was_given) {
  write("elsewhere/note.txt", "");
  EXPECT_EQ(run({"ls", "--project-dir", ".."}, "elsewhere"), 0) << said_;
  EXPECT_EQ(said_, "shop.a\n");
  EXPECT_EQ(run({"ls"}, "elsewhere"), 2);
  EXPECT_NE(said_.find("no dbt_project.yml found at"), std::string::npos) << said_;
}

TEST_F(CommandLineTest, an_edited_model_is_read_again) {
  EXPECT_EQ(run({"run"}), 0) << said_;
  write("models/a.sql", "select 2 as id");
  EXPECT_EQ(run({"run"}), 0) << said_;
  const auto rows = (*warehouse_->connect())->query("select id from a");
  ASSERT_TRUE(rows);
  EXPECT_EQ(warehouse::to_text(rows->rows.at(0).at(0)), "2");
}

TEST_F(CommandLineTest, a_python_model_is_refused_by_its_name_and_other_python_is_not) {
  write("tools/helper.py", "print()");
  EXPECT_EQ(run({"run"}), 0) << said_;
  write("models/deep/b.py", "def model(dbt, session): ...");
  EXPECT_EQ(run({"run"}), 2);
  EXPECT_NE(said_.find("'models/deep/b.py': Python models are not there yet"), std::string::npos)
      << said_;
}

TEST_F(CommandLineTest, folders_that_dbt_writes_are_read_below_models_and_not_beside_them) {
  write("models/logs/b.sql", "select 2 as id");
  write("models/target/c.sql", "select 3 as id");
  write("target/compiled/shop/models/broken.yml", "models: 1");
  EXPECT_EQ(run({"ls"}), 0) << said_;
  EXPECT_EQ(said_, "shop.a\nshop.logs.b\nshop.target.c\n");
}

TEST_F(CommandLineTest, another_profile_is_taken_by_its_name) {
  write("conf/profiles.yml",
        "other: {target: dev, outputs: {dev: {type: duckdb, path: x.duckdb, schema: \"{{ "
        "env_var('SHOP_SCHEMA') }}\"}}}\n");
  environment_["SHOP_SCHEMA"] = "elsewhere";
  EXPECT_EQ(run({"run", "--profile", "other"}), 2);
  EXPECT_NE(said_.find("Could not find profile named 'other'"), std::string::npos) << said_;
  EXPECT_EQ(run({"run", "--profile", "other", "--profiles-dir", "conf"}), 0) << said_;
  EXPECT_NE(said_.find("model elsewhere.a"), std::string::npos) << said_;
}

TEST_F(CommandLineTest, the_shipped_project_is_meant_outside_of_any_and_has_no_environment) {
  write("shipped/dbt_project.yml", "name: own\n");
  write("shipped/profiles.yml",
        "own: {target: dev, outputs: {dev: {type: duckdb, schema: main}}}\n");
  write("shipped/models/s.sql", "select '{{ env_var('SHOP_SCHEMA', 'none') }}' as given");
  fs::create_directories(folder_ / "empty");
  const ConsoleSink sink = [this](std::string_view line) { said_ += std::string(line) + "\n"; };
  CommandLineWorld world{*disk_,
                         *warehouse_,
                         *clock_,
                         rng_,
                         {{"SHOP_SCHEMA", "set"}, {"DBT_PROFILES_DIR", folder_.string()}},
                         (folder_ / "empty").string(),
                         sink,
                         *ProjectFiles::read_folder(*disk_, (folder_ / "shipped").string()),
                         (folder_ / "artifacts").string()};
  EXPECT_EQ(run_command_line(std::vector<std::string>{"run"}, world).value_or(-1), 0) << said_;
  EXPECT_EQ(read("artifacts/target/compiled/own/models/s.sql"), "select 'none' as given");
  world.working_directory = folder_.string();
  EXPECT_EQ(run_command_line(std::vector<std::string>{"ls"}, world).value_or(-1), 0);
  EXPECT_NE(said_.find("shop.a\n"), std::string::npos) << said_;
}

TEST_F(CommandLineTest, a_statement_that_runs_is_ended_by_a_stop) {
  write("models/a.sql",
        "{{ config(materialized='table') }} "
        "select sum(a.range * b.range) as n from range(10000000) a, range(10000000) b");
  std::stop_source asker;
  std::jthread watcher([&](std::stop_token over) {
    while (clock_->wait_for(std::chrono::milliseconds(5), over)) {
      warehouse_->watch();
      asker.request_stop();
    }
  });
  const ConsoleSink sink = [](std::string_view) {};
  const CommandLineWorld world{*disk_,       *warehouse_,      *clock_, rng_,
                               environment_, folder_.string(), sink};
  const auto code = run_command_line(std::vector<std::string>{"run"}, world, asker.get_token());
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, ErrorCode::cancelled) << code.error().message;
}

TEST_F(CommandLineTest, a_late_variable_does_not_parse_the_project_again) {
  write("models/a.sql",
        "{{ config(alias=var('name', 'a')) }} select '{{ var('name', '') }}' as given");
  auto engine = *Engine::open(*ProjectFiles::read_folder(*disk_, folder_.string()), {}, *warehouse_,
                              *clock_, rng_);
  const auto invoke = [&](const std::string& name, std::set<std::string> late) {
    Invocation invocation{.command = "run", .late_vars = std::move(late)};
    invocation.vars.set("name", name);
    const auto done = engine->invoke(invocation, [](std::string_view) {});
    EXPECT_TRUE(done && done->exit_code == 0);
  };
  const auto given_in = [&](const std::string& relation) {
    const auto rows = (*warehouse_->connect())->query("select given from " + relation);
    return rows ? warehouse::to_text(rows->rows.at(0).at(0)) : "none";
  };
  invoke("b", {"name"});
  invoke("c", {"name"});  // the SQL has the new value, what parsing made of it has not
  EXPECT_EQ(given_in("b"), "c");
  EXPECT_EQ(given_in("c"), "none");
  invoke("c", {});
  EXPECT_EQ(given_in("c"), "c");
}

}  // namespace
}  // namespace tapeline::transform
