// Goal: each value comes from the strongest place that says it, and secrets from a file of one's
// own.

#include "app/config.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "app/log_engine.h"

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

TEST_F(ConfigTest, a_line_of_secrets_reads_as_a_shell_would_and_as_notepad_writes_it) {
  const auto token_of = [&](std::string_view line) {
    write("secrets.env", line, fs::perms::none);
    const auto config = load();
    fs::remove(folder_ / "secrets.env");
    return config ? config->text("api.token") : config.error().message;
  };
  EXPECT_EQ(token_of("export TAPELINE_API_TOKEN=a#b\r\n"), "a#b");
  EXPECT_EQ(token_of("TAPELINE_API_TOKEN=ab # mine\n"), "ab");
  EXPECT_EQ(token_of("TAPELINE_API_TOKEN='a b # c' # mine"), "a b # c");
  EXPECT_EQ(token_of("\t TAPELINE_API_TOKEN = \"ab\"\t\n"), "ab");
  EXPECT_EQ(token_of("\xEF\xBB\xBFTAPELINE_API_TOKEN=ab\n"), "ab");
  EXPECT_EQ(token_of("TAPELINE_API_TOKEN=#none"), "");
  EXPECT_EQ(token_of("TAPELINE_API_TOKEN=\"ab"), "\"ab");
  EXPECT_EQ(token_of("# a key\n\nabcdef\n"), "line 3 of secrets.env is not NAME=value");
  EXPECT_EQ(token_of("my key=abcdef"), "line 1 of secrets.env is not NAME=value");
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

TEST_F(ConfigTest, librdkafkas_settings_pass_through_by_name_from_file_secrets_and_environment) {
  write("tapeline.toml",
        "[log]\nengine = \"kafka\"\n[log.kafka]\n\"linger.ms\" = 5\nsasl.username = \"me\"\n",
        fs::perms::none);
  write("secrets.env", "TAPELINE_KAFKA_SASL_PASSWORD=hidden\n", fs::perms::none);
  environment_["TAPELINE_KAFKA_LINGER_MS"] = "7";
  environment_["KAFKA_BOOTSTRAP_SERVERS"] = "a:9092";
  const auto config = load();
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->kafka().at("linger.ms").text, "7");
  EXPECT_EQ(config->kafka().at("linger.ms").origin, "environment TAPELINE_KAFKA_LINGER_MS");
  EXPECT_EQ(config->kafka().at("sasl.username").text, "me");
  EXPECT_EQ(config->kafka().at("sasl.password").origin, "secrets.env");
  const auto options = kafka_options(*config);
  ASSERT_TRUE(options && *options);
  EXPECT_EQ((*options)->settings.at("bootstrap.servers"), "a:9092");
  EXPECT_EQ((*options)->settings.at("sasl.password"), "hidden");
}

TEST_F(ConfigTest, an_engine_without_brokers_or_that_nobody_knows_is_refused) {
  EXPECT_FALSE(*kafka_options(*load()));  // embedded, unless it is said otherwise
  flags_["log"] = "kafka";
  EXPECT_EQ(kafka_options(*load()).error().message, "the log is Kafka's, and no broker is named");
  flags_["log"] = "kafak";
  EXPECT_EQ(kafka_options(*load()).error().message, "there is no log 'kafak' (from flag --log)");
}

}  // namespace
}  // namespace tapeline::app
