#include "msglog/embedded/sealed_text.h"

#include <gtest/gtest.h>

namespace tapeline::msglog {
namespace {

TEST(SealedText, comes_back_as_it_was) {
  const Lines lines{{"name", "stock_prices"}, {"note", "two words"}, {"empty", ""}};
  EXPECT_EQ(unseal(seal(lines)), lines);
  EXPECT_EQ(unseal(seal({})), Lines{});
  EXPECT_EQ(value_of(lines, "note"), "two words");
  EXPECT_EQ(value_of(lines, "nothing"), std::nullopt);
}

TEST(SealedText, every_cut_and_every_bit_flip_is_noticed) {
  const auto text = seal({{"id", "0123"}, {"partitions", "1"}});
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(unseal(std::string_view(text).substr(0, size))) << size;
  for (std::size_t at = 0; at < text.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = text;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      EXPECT_FALSE(unseal(damaged)) << at;
    }
}

}  // namespace
}  // namespace tapeline::msglog
