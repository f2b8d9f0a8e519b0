#include "market/symbol.h"

#include <gtest/gtest.h>

namespace tapeline {
namespace {

TEST(Symbol, keeps_its_text) {
  for (const std::string_view text : {"A", "AAPL", "BRK.B", "BINANCE:BTCUSDT", "BTC-USD", "0700.HK",
                                      "ABCDEFGHIJKLMNOPQRSTUVWX"}) {
    const auto symbol = Symbol::parse(text);
    ASSERT_TRUE(symbol) << text;
    EXPECT_EQ(symbol->text(), text);
  }
}

TEST(Symbol, what_has_not_the_form_is_an_error) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view text : {""sv, "aapl"sv, "AA PL"sv, ".A"sv, "^GSPC"sv, "A\0B"sv,
                                      "AAPL\n"sv, "ÄÖ"sv, "ABCDEFGHIJKLMNOPQRSTUVWXY"sv}) {
    const auto symbol = Symbol::parse(text);
    ASSERT_FALSE(symbol) << text;
    EXPECT_EQ(symbol.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Symbol, sorts_and_hashes_as_its_text) {
  const Symbol a = *Symbol::parse("AA");
  const Symbol b = *Symbol::parse("AAPL");
  EXPECT_LT(a, b);
  EXPECT_EQ(std::hash<Symbol>()(a), std::hash<std::string_view>()("AA"));
}

}  // namespace
}  // namespace tapeline
