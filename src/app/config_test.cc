// Goal: each value comes from the strongest place that says it, and secrets from a file of one's
// own.

#include "app/config.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace tapeline::app {
namespace {

namespace fs = std::filesystem;

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() { fs::create_directories(folder_); }
  ~ConfigTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, std::string_view text, fs::perms readers) {
    const auto file = std::move(*files_->open((folder_ / name).string(), io::OpenMode::write));
    ASSERT_TRUE(file->write_at(0, text));
    fs::permissions(folder_ / name, fs::perms::owner_read | fs::perms::owner_write | readers);
  }
  Result<Config> load() { return Config::load(*files_, folder_.string(), environment_, flags_); }

  const fs::path folder_ = fs::path(testing::TempDir()) / "config_test";
  std::unique_ptr<io::FileSystem> files_ = io::make_file_system();
  Environment environment_ = {{"HOME", (folder_ / "home").string()}};
  std::map<std::string, std::string, std::less<>> flags_;
};

TEST_F(ConfigTest, a_secret_comes_from_a_file_that_only_its_owner_reads) {
  write("secrets.env", "TAPELINE_API_TOKEN=hidden\n", fs::perms::none);
  const auto config = load();
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->text("api.token"), "hidden");
  EXPECT_EQ(config->value("api.token").origin, "secrets.env");
}

TEST_F(ConfigTest, a_secret_that_others_may_read_is_refused_with_what_to_run) {
  for (const fs::perms readers : {fs::perms::group_read, fs::perms::others_read}) {
    write("secrets.env", "TAPELINE_API_TOKEN=hidden\n", readers);
    const auto config = load();
    ASSERT_FALSE(config);
    const std::string path = (folder_ / "secrets.env").string();
    EXPECT_EQ(config.error().message, "other users may read '" + path + "', which holds secrets");
    EXPECT_EQ(config.error().hint, "Run `chmod 600 " + path + "`.");
  }
}

TEST_F(ConfigTest, the_environment_beats_secrets_and_they_beat_the_file) {
  write("tapeline.toml", "[api]\ntoken = \"written\"\n", fs::perms::none);
  EXPECT_EQ(load()->text("api.token"), "written");
  EXPECT_EQ(load()->value("api.token").origin, "tapeline.toml");
  write("secrets.env", "TAPELINE_API_TOKEN=hidden\n", fs::perms::none);
  EXPECT_EQ(load()->text("api.token"), "hidden");
  environment_["TAPELINE_API_TOKEN"] = "louder";
  EXPECT_EQ(load()->text("api.token"), "louder");
}

}  // namespace
}  // namespace tapeline::app
