// Goal: every form of answer and message that the vendor is known to send, and many that nobody
// should, mean what the case files in tests/cases/finnhub say.

#include "feeds/finnhub/decode.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/time_text.h"

namespace tapeline::feeds::finnhub {
namespace {

struct Case {
  std::string given;
  std::string means;
};

std::vector<Case> cases_of(const std::string& name) {
  std::ifstream file(TAPELINE_SOURCE_DIR "/tests/cases/finnhub/" + name);
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto arrow = line.rfind(" => ");
    cases.push_back({line.substr(0, arrow), line.substr(arrow + 4)});
  }
  EXPECT_GT(cases.size(), 15U) << name;
  return cases;
}

std::string text_of(const std::optional<Price>& price) { return price ? price->text() : "-"; }

std::string text_of(const DecodedAnswer& answer) {
  std::string text(to_string(answer.outcome));
  if (answer.outcome != Outcome::ok) return text;
  const DayQuote& quote = answer.quote;
  for (const auto& price :
       {std::optional(quote.price), quote.open, quote.high, quote.low, quote.previous_close}) {
    text += " " + text_of(price);
  }
  return text + " " + format_rfc3339(quote.at);
}

std::string text_of(const Frame& frame) {
  std::string text(to_string(frame.type));
  for (const Trade& trade : frame.trades) {
    text += " " + std::string(trade.symbol.text()) + " " + trade.price.text() + " " +
            std::to_string(trade.size) + " " + format_rfc3339(trade.event_time);
  }
  if (frame.unreadable > 0) text += " unreadable=" + std::to_string(frame.unreadable);
  if (!frame.message.empty()) text += " " + frame.message;
  return text;
}

TEST(Decode, answers_mean_what_the_cases_say) {
  for (const Case& one : cases_of("quotes.txt")) {
    io::HttpResponse response;
    response.status = std::stoi(one.given);
    response.body = one.given.substr(4);
    const auto answer = decode_quote(response);
    EXPECT_EQ(text_of(answer), one.means) << one.given;
    EXPECT_EQ(answer.detail.empty(),
              answer.outcome == Outcome::ok || answer.outcome == Outcome::zero)
        << one.given;
  }
}

TEST(Decode, messages_mean_what_the_cases_say) {
  for (const Case& one : cases_of("frames.txt")) {
    EXPECT_EQ(text_of(decode_frame(one.given)), one.means) << one.given;
  }
}

TEST(Decode, a_price_is_exact_to_the_sixth_decimal) {
  const auto frame = decode_frame(
      R"({"type":"trade","data":[{"p":9007199254.740993,"s":"A","t":1672348887195,"v":1}]})");
  ASSERT_EQ(frame.trades.size(), 1U);
  EXPECT_EQ(frame.trades[0].price.text(), "9007199254.740993");
}

TEST(Decode, condition_codes_tell_trades_apart_and_none_is_none) {
  const auto frame = decode_frame(R"({"type":"trade","data":[
      {"c":["1"],"p":1,"s":"A","t":1672348887195,"v":1},
      {"c":["1","8"],"p":1,"s":"A","t":1672348887195,"v":1},
      {"c":["1"],"p":1,"s":"A","t":1672348887195,"v":1},
      {"c":[],"p":1,"s":"A","t":1672348887195,"v":1},
      {"c":null,"p":1,"s":"A","t":1672348887195,"v":1}]})");
  ASSERT_EQ(frame.trades.size(), 5U);
  EXPECT_NE(frame.trades[0], frame.trades[1]);
  EXPECT_EQ(frame.trades[0], frame.trades[2]);
  EXPECT_NE(frame.trades[0], frame.trades[3]);
  EXPECT_EQ(frame.trades[3], frame.trades[4]);
}

TEST(Decode, retry_after_is_read_in_seconds_and_is_no_more_than_an_hour) {
  const auto wait = [](const char* header) {
    io::HttpResponse response;
    response.status = 429;
    response.headers = {{"retry-after", header}};
    return decode_quote(response).retry_after;
  };
  EXPECT_EQ(wait("7"), std::chrono::seconds(7));
  EXPECT_EQ(wait("999999999"), std::chrono::hours(1));
  for (const char* none : {"", "-1", "soon", "Sun, 06 Nov 1994 08:49:37 GMT", "1.5"}) {
    EXPECT_EQ(wait(none), std::nullopt) << none;
  }
}

TEST(Decode, what_a_server_says_is_told_without_what_may_be_a_key) {
  EXPECT_EQ(words_of("  API limit\treached.\n"), "API limit reached.");
  EXPECT_EQ(words_of("token c1f2n3n4h5u6b7k8e9y0 is bad"), "token ... is bad");
  std::string cut(197, 'a');
  for (std::size_t i = 9; i < cut.size(); i += 10) cut[i] = ' ';
  EXPECT_TRUE(words_of(cut + " 12345678 more").ends_with(" 12345678"));
  EXPECT_EQ(words_of("\xff\x01"), "");
}

TEST(Decode, a_subscribe_is_what_the_vendor_documents) {
  EXPECT_EQ(subscribe_message(*Symbol::parse("BRK.B"), true),
            R"({"type":"subscribe","symbol":"BRK.B"})");
  EXPECT_EQ(subscribe_message(*Symbol::parse("A"), false),
            R"({"type":"unsubscribe","symbol":"A"})");
}

}  // namespace
}  // namespace tapeline::feeds::finnhub
