#include "state/database.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "state/run_store.h"
#include "state/settings.h"

namespace tapeline::state {
namespace {

struct Place {
  Place() { clean(); }
  ~Place() { clean(); }
  void clean() const {
    for (const char* end : {"", "-wal", "-shm"}) std::remove((path + end).c_str());
  }
  const std::string path = testing::TempDir() + "database_test.sqlite";
};

TEST(Database, settings_survive_a_reopening) {
  const Place place;
  {
    const auto database = *Database::open(place.path);
    Settings settings(*database);
    EXPECT_FALSE(*settings.get("a"));
    EXPECT_TRUE(settings.set("a", "1"));
    EXPECT_EQ(*settings.get_or_set("a", "2"), "1");
  }
  const auto database = *Database::open(place.path);
  EXPECT_EQ(*Settings(*database).get("a"), "1");
}

TEST(Database, a_failed_transaction_leaves_nothing) {
  const Place place;
  const auto database = *Database::open(place.path);
  const auto done = database->write(Sync::now, [](Connection& connection) -> Status {
    TRY_STATUS(connection.run("insert into settings values ('a', '1')"));
    return connection.run("insert into settings values ('a', '2')");
  });
  EXPECT_EQ(done.error().code, ErrorCode::already_exists);
  EXPECT_FALSE(*Settings(*database).get("a"));
}

TEST(Database, a_copy_has_what_was_committed) {
  const Place place;
  const std::string to = place.path + ".copy";
  std::remove(to.c_str());
  {
    const auto database = *Database::open(place.path);
    Settings settings(*database);
    EXPECT_TRUE(settings.set("a", "1"));
    const auto done = database->write(Sync::now, [&](Connection& connection) -> Status {
      TRY_STATUS(connection.run("insert or replace into settings values ('a', '2')"));
      return database->copy_to(to);
    });
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_FALSE(database->copy_to(to)) << "it is there";
    EXPECT_TRUE(database->shrink());
    EXPECT_EQ(*settings.get("a"), "2");
  }
  EXPECT_EQ(*Settings(**Database::open(to)).get("a"), "1");
  for (const char* end : {"", "-wal", "-shm"}) std::remove((to + end).c_str());
}

TEST(Database, a_newer_file_is_refused) {
  const Place place;
  {
    const auto database = *Database::open(place.path);
    EXPECT_TRUE(database->write(Sync::now,
                                [](Connection& c) { return c.run("pragma user_version = 99"); }));
  }
  const auto again = Database::open(place.path);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::unsupported);
}

TEST(Database, what_is_no_database_is_called_corrupt) {
  const Place place;
  std::ofstream(place.path) << std::string(5000, 'x');
  const auto opened = Database::open(place.path);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
  EXPECT_EQ(Database::open("/nowhere/state.sqlite").error().code, ErrorCode::unavailable);
}

TEST(RunStore, a_run_id_stands_once) {
  const Place place;
  const auto database = *Database::open(place.path);
  const auto store = *RunStore::open(*database);
  RunRow run{.id = store->new_id(), .dag = "d", .run_id = "r", .run_type = "manual"};
  EXPECT_TRUE(store->add(run));
  run.id = store->new_id();
  EXPECT_EQ(store->add(run).error().code, ErrorCode::already_exists);
}

}  // namespace
}  // namespace tapeline::state
