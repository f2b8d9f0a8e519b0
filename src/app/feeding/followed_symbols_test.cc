#include "app/feeding/followed_symbols.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace tapeline::app {
namespace {

class FollowedSymbolsTest : public testing::Test {
 protected:
  FollowedSymbolsTest() {
    std::filesystem::remove(file_);
    database_ = *state::Database::open(file_);
    settings_ = std::make_unique<state::Settings>(*database_);
  }

  std::string followed(const std::vector<std::string>& configured) {
    const auto symbols = FollowedSymbols::open(*settings_, configured);
    return symbols ? text(**symbols) : symbols.error().message;
  }
  static std::string text(const FollowedSymbols& symbols) {
    std::string text;
    for (const Symbol& symbol : symbols.list()) text += std::string(symbol.text()) + " ";
    return text;
  }

  const std::string file_ = testing::TempDir() + "/followed_symbols.sqlite";
  std::unique_ptr<state::Database> database_;
  std::unique_ptr<state::Settings> settings_;
};

TEST_F(FollowedSymbolsTest, what_is_added_and_removed_survives_a_restart) {
  const std::vector<std::string> configured = {"AAPL", "MSFT", "IBM"};
  auto symbols = *FollowedSymbols::open(*settings_, configured);
  ASSERT_TRUE(symbols->add({"spy", "AIG", "AAPL"}));
  ASSERT_TRUE(symbols->remove({"MSFT", "AIG"}));
  EXPECT_EQ(text(*symbols), "AAPL IBM SPY ");
  EXPECT_EQ(followed(configured), "AAPL IBM SPY ");
  ASSERT_TRUE(symbols->add({"MSFT"}));
  EXPECT_EQ(followed(configured), "AAPL MSFT IBM SPY ");
  EXPECT_EQ(followed({"TSLA"}), "TSLA SPY ");
}

TEST_F(FollowedSymbolsTest, one_that_is_none_changes_nothing) {
  auto symbols = *FollowedSymbols::open(*settings_, {"AAPL"});
  EXPECT_FALSE(symbols->add({"MSFT", "no symbol"}));
  EXPECT_EQ(text(*symbols), "AAPL ");
  std::vector<std::string> many;
  for (int i = 0; i < 1001; ++i) many.push_back("S" + std::to_string(i));
  EXPECT_FALSE(symbols->add(many));
  EXPECT_EQ(followed({"AAPL"}), "AAPL ");
}

}  // namespace
}  // namespace tapeline::app
