#include "market/quote.h"

#include <gtest/gtest.h>

namespace tapeline {
namespace {

TEST(Quote, sessions_and_bar_lengths_are_read_back_from_their_words) {
  for (const Session session : {Session::pre, Session::regular, Session::post, Session::closed}) {
    EXPECT_EQ(session_from_text(to_string(session)), session);
  }
  for (const BarLength length : {BarLength::m1, BarLength::m5, BarLength::m15, BarLength::m30,
                                 BarLength::h1, BarLength::h4, BarLength::d1}) {
    EXPECT_EQ(bar_length_from_text(to_string(length)), length);
  }
  EXPECT_EQ(session_from_text("Regular"), std::nullopt);
  EXPECT_EQ(bar_length_from_text("2m"), std::nullopt);
  EXPECT_EQ(bar_length_from_text(""), std::nullopt);
}

TEST(Quote, bar_lengths_last_as_long_as_their_words_say) {
  EXPECT_EQ(duration_of(BarLength::m1), std::chrono::minutes(1));
  EXPECT_EQ(duration_of(BarLength::m5), std::chrono::minutes(5));
  EXPECT_EQ(duration_of(BarLength::m15), std::chrono::minutes(15));
  EXPECT_EQ(duration_of(BarLength::m30), std::chrono::minutes(30));
  EXPECT_EQ(duration_of(BarLength::h1), std::chrono::hours(1));
  EXPECT_EQ(duration_of(BarLength::h4), std::chrono::hours(4));
  EXPECT_EQ(duration_of(BarLength::d1), std::chrono::hours(24));
}

}  // namespace
}  // namespace tapeline
