// Goal: whatever a crash or a bad disk does to a segment, a scan finds only batches that were
// written, from the front, and knows of every acknowledged one that it could not find.
// Method: small enough to try everything: each cut, each bit, each zeroed tail.

#include "msglog/embedded/segment.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "io/faulty_file_system.h"
#include "msglog/embedded/segment_index.h"

namespace tapeline::msglog {
namespace {

using namespace std::chrono_literals;

constexpr Offset kNoStop = std::numeric_limits<Offset>::max();
const Owner kOwner{{'t', 'o', 'p', 'i', 'c'}, 3};

std::string batch(Offset base, Offset synced_end, const std::vector<std::string>& values,
                  const Owner& owner = kOwner) {
  std::string payload;
  for (const auto& value : values) append_record(payload, "k", value);
  BatchHeader header;
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.payload_crc = crc32c(payload);
  header.base_offset = base;
  header.synced_end = synced_end;
  header.appended_at = Timestamp(1000s + std::chrono::seconds(base));
  header.record_count = static_cast<std::uint32_t>(values.size());
  header.owner = owner;
  std::string bytes(kHeaderBytes, '\0');
  encode_header(header, bytes.data());
  return bytes + payload;
}

/// Three groups: offsets 0 and 1, then 2, then 3 to 5. The last one may not be acknowledged.
std::vector<std::string> groups() {
  return {batch(0, 0, {"zero", "one"}), batch(2, 2, {"two"}), batch(3, 3, {"three", "", "five"})};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const auto& part : parts) all += part;
  return all;
}

SegmentScan scan(const std::string& bytes, Offset stop = kNoStop) {
  io::FaultyFileSystem files(0);
  const auto file = std::move(*files.open("/segment", io::OpenMode::write));
  EXPECT_TRUE(file->write_at(0, bytes));
  auto found = scan_segment(*file, kOwner, {}, stop, std::ssize(bytes));
  EXPECT_TRUE(found);
  return *std::move(found);
}

TEST(Segment, a_whole_segment_is_read_whole) {
  const auto found = scan(joined(groups()));
  EXPECT_EQ(found.end.offset, 6);
  EXPECT_EQ(found.batches, 3);
  EXPECT_EQ(found.records, 6);
  EXPECT_EQ(found.synced_end, 3);
  EXPECT_EQ(found.tail_bytes, 0);
  EXPECT_EQ(found.index.size(), 1U);
}

TEST(Segment, every_truncation_leaves_a_prefix) {
  const auto parts = groups();
  const auto whole = joined(parts);
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto found = scan(whole.substr(0, size));
    const Offset expected = size < parts[0].size()                     ? 0
                            : size < parts[0].size() + parts[1].size() ? 2
                            : size < whole.size()                      ? 3
                                                                       : 6;
    EXPECT_EQ(found.end.offset, expected) << size;
  }
}

TEST(Segment, zeros_behind_the_last_batch_are_no_tail) {
  const auto found = scan(joined(groups()) + std::string(5000, '\0'));
  EXPECT_EQ(found.end.offset, 6);
  EXPECT_EQ(found.tail_bytes, 0);
}

TEST(Segment, every_zeroed_tail_leaves_a_prefix) {
  const auto whole = joined(groups());
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    auto damaged = whole.substr(0, size);
    damaged.resize(whole.size(), '\0');
    const auto found = scan(damaged);
    EXPECT_EQ(found.end.position + found.tail_bytes,
              std::max<std::int64_t>(found.end.position, static_cast<std::int64_t>(
                                                             damaged.find_last_not_of('\0') + 1)));
    EXPECT_LE(found.end.offset, 6);
  }
}

TEST(Segment, every_bit_flip_below_a_synced_end_is_known_to_be_damage) {
  const auto parts = groups();
  const auto whole = joined(parts);
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const auto found = scan(damaged);
      const Offset hit = at < parts[0].size() ? 0 : at < parts[0].size() + parts[1].size() ? 2 : 3;
      EXPECT_EQ(found.end.offset, hit) << at;
      EXPECT_EQ(found.end.offset < found.synced_end, hit < 3) << at;
    }
}

TEST(Segment, batches_of_another_topic_or_place_are_not_taken_for_what_follows) {
  const auto first = batch(0, 0, {"zero", "one"});
  EXPECT_EQ(scan(first + batch(2, 2, {"x"}, Owner{{'o'}, 3})).end.offset, 2);
  EXPECT_EQ(scan(first + batch(2, 2, {"x"}, Owner{kOwner.topic_id, 4})).end.offset, 2);
  EXPECT_EQ(scan(first + batch(5, 2, {"x"})).end.offset, 2);
  const auto stale = scan(first + batch(1, 1, {"x"}));
  EXPECT_EQ(stale.end.offset, 2);
  EXPECT_FALSE(stale.next_batch);
}

TEST(Segment, what_stands_behind_the_stop_belongs_to_nobody) {
  const auto found = scan(joined(groups()), 2);
  EXPECT_EQ(found.end.offset, 2);
  EXPECT_EQ(found.tail_bytes, 0);
}

TEST(Segment, a_header_inside_of_a_broken_batch_is_data) {
  auto outer = batch(2, 2, {batch(2, 2, {"inner"})});
  outer.back() = static_cast<char>(outer.back() ^ 1);
  const auto found = scan(batch(0, 0, {"zero", "one"}) + outer + batch(3, 3, {"after"}));
  ASSERT_TRUE(found.next_batch);
  EXPECT_EQ(found.next_batch->offset, 3);
}

TEST(Segment, a_record_that_overruns_its_payload_is_refused) {
  std::string payload;
  append_record(payload, "k", "v");
  payload[4] = 100;
  auto view = std::string_view(payload);
  EXPECT_FALSE(take_record(view));
}

TEST(Segment, seeking_finds_the_first_batch_that_is_late_enough) {
  io::FaultyFileSystem files(0);
  const auto whole = joined(groups());
  const auto file = std::move(*files.open("/segment", io::OpenMode::write));
  ASSERT_TRUE(file->write_at(0, whole));
  const auto at = [&](Timestamp when) {
    return seek_in_segment(*file, kOwner, {}, 6, std::ssize(whole),
                           [&](const BatchHeader& header) { return header.appended_at >= when; });
  };
  EXPECT_EQ(at(Timestamp())->offset, 0);
  EXPECT_EQ(at(Timestamp(1001s))->offset, 2);
  EXPECT_EQ(at(Timestamp(1003s))->offset, 3);
  EXPECT_EQ(at(Timestamp(1004s))->offset, 6);
}

TEST(SegmentIndex, comes_back_as_it_was_and_every_bit_flip_is_noticed) {
  const SegmentIndex index{
      kOwner, 5, {9, 1234, Timestamp(3s)}, {{5, 0, Timestamp(1s)}, {7, 99, Timestamp(2s)}}};
  const auto bytes = encode_index(index);
  const auto back = decode_index(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->owner, index.owner);
  EXPECT_EQ(back->end.position, 1234);
  EXPECT_EQ(back->entries, index.entries);
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      EXPECT_FALSE(decode_index(damaged)) << at;
    }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_index(std::string_view(bytes).substr(0, size))) << size;
}

}  // namespace
}  // namespace tapeline::msglog
