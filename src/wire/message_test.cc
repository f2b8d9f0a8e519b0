#include "wire/message.h"

#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "base/rng.h"
#include "base/time_text.h"
#include "wire/differential.h"

namespace tapeline::wire {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }
const Timestamp kAppended = at("2025-01-04T15:00:00Z");

Price dollars(std::string_view text) { return *Price::parse(text); }

std::vector<std::string> lines_of(const std::string& name) {
  std::ifstream file(TAPELINE_SOURCE_DIR "/tests/cases/wire/" + name);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  EXPECT_FALSE(lines.empty()) << name;
  return lines;
}

std::string golden(const std::string& name) { return lines_of(name).at(0); }

/// What a market directory makes of one message.
struct Read {
  explicit Read(std::string_view value, DirectoryKind kind = DirectoryKind::market)
      : decoder(kind), dead(decoder.decode(value, kAppended, row)) {}

  Decoder decoder;
  QuoteView row;
  std::optional<DeadLetter> dead;
};

/// A message with the three fields that it needs, and more.
std::string message_with(std::string_view more) {
  return R"({"symbol":"AAPL","price":1,"timestamp":"2025-01-04T14:30:00Z",)" + std::string(more) +
         "}";
}

Quote documented_quote() {
  return {.symbol = *Symbol::parse("AAPL"),
          .price = dollars("150.25"),
          .open = dollars("149.75"),
          .high = dollars("151"),
          .low = dollars("149.5"),
          .previous_close = dollars("149.1"),
          .volume = 1000,
          .session = Session::regular,
          .event_time = at("2025-01-04T14:30:00Z"),
          .received_at = at("2025-01-04T14:30:00.412345Z"),
          .data_source = "finnhub"};
}

Quote least_quote() {
  return {.symbol = *Symbol::parse("BINANCE:BTCUSDT"),
          .price = Price::from_units(1),
          .event_time = at("2025-01-04T14:30:00.123Z"),
          .data_source = "finnhub-ws"};
}

Quote bar_quote() {
  return {.symbol = *Symbol::parse("BRK.B"),
          .price = Price::from_units(Price::kUnitsMax),
          .open = Price(),
          .high = dollars("150"),
          .low = dollars("-1.5"),
          .volume = 0,
          .bar_length = BarLength::d1,
          .event_time = at("2024-12-31T20:59:59.999999Z"),
          .data_source = "replay",
          .history = true};
}

TEST(Message, is_written_as_the_golden_files_say_and_read_back) {
  EXPECT_EQ(encode(documented_quote()), golden("quote.json"));
  EXPECT_EQ(encode(least_quote()), golden("quote_least.json"));
  EXPECT_EQ(encode(bar_quote()), golden("quote_bar.json"));
  for (const Quote& quote : {documented_quote(), least_quote(), bar_quote()}) {
    const std::string text = encode(quote);
    const Read read(text);
    ASSERT_FALSE(read.dead) << read.dead->detail;
    EXPECT_EQ(read.row, view_of(quote)) << text;
    EXPECT_EQ(read.decoder.repairs(), Repairs());
    Draft draft;
    EXPECT_TRUE(read_flat_message(text, draft)) << "our own messages go the fast way";
  }
}

TEST(Message, of_the_originals_producer_has_its_zone_and_volume_mended) {
  const std::string text = golden("quote_original.json");
  const Read read(text);
  ASSERT_FALSE(read.dead);
  EXPECT_EQ(read.row.event_time, at("2025-01-04T14:30:00Z"));
  EXPECT_EQ(read.row.volume, std::nullopt);
  EXPECT_EQ(read.row.high, dollars("151"));
  EXPECT_EQ(read.decoder.repairs(), (Repairs{.zone_assumed = 1, .volume_unknown = 1}));
  Draft draft;
  EXPECT_TRUE(read_flat_message(text, draft)) << "the original's messages go the fast way";
}

TEST(Message, a_volume_of_zero_is_unknown_only_from_the_originals_producer) {
  EXPECT_EQ(Read(message_with(R"("volume":0,"data_source":"finnhub")")).row.volume, std::nullopt);
  EXPECT_EQ(
      Read(message_with(R"("volume":0,"data_source":"finnhub","schema_version":1)")).row.volume, 0);
  EXPECT_EQ(Read(message_with(R"("volume":0,"data_source":"replay")")).row.volume, 0);
}

TEST(Message, each_dead_letter_has_its_reason) {
  for (const std::string& line : lines_of("dead_letters.txt")) {
    const auto blank = std::min(line.find(' '), line.size());
    const auto text = line.substr(std::min(blank + 1, line.size()));
    const Read read(text);
    ASSERT_TRUE(read.dead) << line;
    EXPECT_EQ(to_string(read.dead->reason), line.substr(0, blank)) << text;
    EXPECT_EQ(read.decoder.repairs(), Repairs());
  }
}

TEST(Message, what_is_not_utf_8_or_too_deep_or_too_large_is_a_dead_letter) {
  EXPECT_EQ(Read(message_with("\"x\":\"\xff\"")).dead->reason, DeadReason::not_json);
  EXPECT_EQ(Read(message_with("\"x\":\"\xed\xa0\x80\"")).dead->reason, DeadReason::not_json);
  EXPECT_EQ(Read(message_with("\"x\":\"\n\"")).dead->reason, DeadReason::not_json);
  const auto nested = [](std::size_t depth) {
    return message_with("\"x\":" + std::string(depth, '[') + std::string(depth, ']'));
  };
  EXPECT_FALSE(Read(nested(63)).dead);
  EXPECT_EQ(Read(nested(64)).dead->reason, DeadReason::not_json);
  EXPECT_EQ(Read(nested(30'000)).dead->reason, DeadReason::not_json);
  EXPECT_EQ(Read(message_with("\"x\":" + std::string(20'000, '['))).dead->reason,
            DeadReason::not_json);
  EXPECT_EQ(Read(message_with("\"x\":\"" + std::string(kMessageSizeMax, 'x') + '"')).dead->reason,
            DeadReason::too_large);
}

TEST(Message, a_day_ahead_is_not_too_far) {
  EXPECT_FALSE(Read(R"({"symbol":"A","price":1,"timestamp":"2025-01-05T15:00:00Z"})").dead);
}

TEST(Message, a_simulated_directory_takes_the_simulators_messages_alone) {
  const auto read = [](std::string_view source) {
    return Read(message_with("\"data_source\":\"" + std::string(source) + '"'),
                DirectoryKind::simulated);
  };
  EXPECT_FALSE(read("simulator").dead);
  EXPECT_FALSE(read("simulator-2").dead);
  EXPECT_EQ(read("simulators").dead->reason, DeadReason::kind_mismatch);
  EXPECT_EQ(read("replay").dead->reason, DeadReason::kind_mismatch);
  EXPECT_EQ(Read(message_with("\"x\":1"), DirectoryKind::simulated).dead->reason,
            DeadReason::kind_mismatch);
}

TEST(Message, an_optional_field_that_does_not_fit_is_left_out_and_counted) {
  for (const std::string_view field :
       {R"("high":"151")", R"("low":{})", R"("open":1e30)", R"("previous_close":true)",
        R"("volume":0.5)", R"("volume":"7")", R"("volume":99999999999999999999)",
        R"("received_at":"noon")", R"("session":"lunch")", R"("bar_length":"2m")", R"("history":1)",
        R"("data_source":"Finnhub")", R"("data_source":7)", R"("schema_version":"1")"}) {
    const std::string text = message_with(field);
    const Read read(text);
    ASSERT_FALSE(read.dead) << field;
    EXPECT_EQ(read.decoder.repairs(), (Repairs{.field_dropped = 1})) << field;
    const std::string plain = message_with(R"("x":1)");
    EXPECT_EQ(read.row, Read(plain).row) << field;
  }
}

TEST(Message, a_source_that_is_missing_is_unknown) {
  EXPECT_EQ(Read(message_with(R"("x":1)")).row.data_source, "unknown");
  EXPECT_EQ(Read(message_with(R"("data_source":null)")).row.data_source, "unknown");
}

TEST(Message, all_json_is_read_however_it_is_written) {
  const std::string text =
      "\n{ \"x\" : {\"price\":[7,{}]}, \"volume\":1e3,\r\n\t\"timestamp\":\"2025-01-04 "
      "09:30:00-05:00\","
      "\"price\":15.025e+1 ,\"sym\\u0062ol\":\"BTC\\/USD\",\"high\":1.00000050,\"big\":1e999 } \n";
  const Read read(text);
  ASSERT_FALSE(read.dead) << read.dead->detail;
  EXPECT_EQ(read.row.symbol, "BTC/USD");
  EXPECT_EQ(read.row.price, dollars("150.25"));
  EXPECT_EQ(read.row.high, dollars("1"));
  EXPECT_EQ(read.row.volume, 1000);
  EXPECT_EQ(read.row.event_time, at("2025-01-04T14:30:00Z"));
  EXPECT_EQ(read.decoder.repairs(), (Repairs{.price_rounded = 1}));
}

TEST(Message, of_a_field_that_comes_twice_the_last_counts) {
  const std::string text = message_with(R"("price":"x","price":2,"symbol":"B")");
  const Read read(text);
  ASSERT_FALSE(read.dead);
  EXPECT_EQ(read.row.price, dollars("2"));
  EXPECT_EQ(read.row.symbol, "B");
  EXPECT_EQ(Read(message_with(R"("price":null)")).dead->reason, DeadReason::missing_price);
}

TEST(Message, rows_keep_their_strings_until_they_are_forgotten) {
  Decoder decoder(DirectoryKind::market);
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) {
    texts.push_back(R"({"symbol":"\u0041)" + std::to_string(i) +
                    R"(","price":1,"timestamp":"2025-01-04T14:30:00Z"})");
  }
  std::vector<QuoteView> rows(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ASSERT_FALSE(decoder.decode(texts[i], kAppended, rows[i]));
  }
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(rows[i].symbol, "A" + std::to_string(i));
  decoder.forget();
}

TEST(Message, payloads_are_the_same_but_for_key_and_arrival) {
  const Quote quote = documented_quote();
  Quote other = quote;
  other.received_at.reset();
  other.history = true;
  EXPECT_TRUE(same_payload(view_of(quote), view_of(other)));
  const std::vector<void (*)(Quote&)> changes{
      [](Quote& q) { q.price = Price(); },        [](Quote& q) { q.open.reset(); },
      [](Quote& q) { q.high.reset(); },           [](Quote& q) { q.low.reset(); },
      [](Quote& q) { q.previous_close.reset(); }, [](Quote& q) { q.volume.reset(); },
      [](Quote& q) { q.session.reset(); },        [](Quote& q) { q.bar_length = BarLength::m1; },
      [](Quote& q) { q.data_source = "replay"; }};
  for (const auto change : changes) {
    other = quote;
    change(other);
    EXPECT_FALSE(same_payload(view_of(quote), view_of(other)));
  }
}

std::string random_message(Rng& rng) {
  Quote quote{.symbol = *Symbol::parse("S" + std::to_string(rng.below(1'000'000)))};
  const auto price = [&] {
    return Price::from_units(static_cast<std::int64_t>(rng.next() >> (5 + rng.below(50))) %
                             Price::kUnitsMax);
  };
  const auto maybe = [&] { return rng.below(2) == 0; };
  quote.price = price();
  if (maybe()) quote.open = price();
  if (maybe()) quote.high = price();
  if (maybe()) quote.low = price();
  if (maybe()) quote.previous_close = price();
  if (maybe()) quote.volume = static_cast<std::int64_t>(rng.below(1'000'000'000));
  if (maybe()) quote.session = static_cast<Session>(rng.below(4));
  if (maybe()) quote.bar_length = static_cast<BarLength>(rng.below(7));
  quote.event_time = Timestamp(std::chrono::microseconds(rng.below(1'700'000'000'000'000)));
  if (maybe()) quote.received_at = quote.event_time + std::chrono::milliseconds(rng.below(5000));
  quote.data_source = maybe() ? "finnhub" : "replay";
  quote.history = maybe();
  return encode(quote);
}

TEST(Message, both_ways_of_reading_agree_on_messages_and_on_mutants_of_them) {
  constexpr std::uint64_t kSeed = 20'250'104;
  Rng rng(kSeed);
  AnyMessage any;
  const std::string_view alphabet = "{}[]\":,. -+eE0123456789nulltruefalseTZ\\u\x01\xff";
  for (int round = 0; round < 5000; ++round) {
    std::string text = random_message(rng);
    Draft draft;
    ASSERT_TRUE(read_flat_message(text, draft)) << text;
    ASSERT_TRUE(both_ways_agree(any, text)) << text;
    for (int mutation = 0; mutation < 8; ++mutation) {
      const auto place = static_cast<std::ptrdiff_t>(rng.below(text.size()));
      const char c = alphabet[rng.below(alphabet.size())];
      switch (rng.below(4)) {
        case 0:
          text[static_cast<std::size_t>(place)] = c;
          break;
        case 1:
          text.insert(text.begin() + place, c);
          break;
        case 2:
          text.erase(text.begin() + place);
          break;
        default:
          text.insert(static_cast<std::size_t>(place), text.substr(rng.below(text.size()), 12));
      }
      ASSERT_TRUE(both_ways_agree(any, text)) << "seed " << kSeed << ": " << text;
      any.forget();
    }
  }
}

TEST(Message, times_are_written_as_everywhere_else) {
  Rng rng(3);
  Quote quote = least_quote();
  for (int i = 0; i < 5000; ++i) {
    const auto micros = static_cast<std::int64_t>(rng.below(315'000'000'000'000'000));
    const std::int64_t unit = i % 3 == 0 ? 1'000'000 : i % 3 == 1 ? 1000 : 1;
    quote.event_time = at("0000-01-01T00:00:00Z") + std::chrono::microseconds(micros / unit * unit);
    const std::string text = encode(quote);
    ASSERT_NE(text.find('"' + format_rfc3339(quote.event_time) + '"'), text.npos) << text;
  }
}

TEST(Message, every_prefix_is_a_dead_letter) {
  const std::string text = encode(documented_quote());
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::string prefix = text.substr(0, size);
    EXPECT_EQ(Read(prefix).dead->reason, DeadReason::not_json) << prefix;
  }
}

}  // namespace
}  // namespace tapeline::wire
