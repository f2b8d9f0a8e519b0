#include "io/zip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "io/inflate.h"
#include "io/memory_file_testing.h"

namespace tapeline::io {
namespace {

template <typename Number>
std::string little(Number value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    bytes += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  return bytes;
}
std::string u16(std::uint64_t value) { return little(static_cast<std::uint16_t>(value)); }
std::string u32(std::uint64_t value) { return little(static_cast<std::uint32_t>(value)); }
std::string u64(std::uint64_t value) { return little(value); }

std::string deflated(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Entry {
  std::string name;
  std::string text;
  std::uint64_t method = 8;
  std::uint64_t flags = 0;
};

/// An archive as PKWARE's APPNOTE.TXT draws it.
std::string zip(const std::vector<Entry>& entries, bool wide = false, std::string comment = "") {
  std::string out;
  std::string directory;
  for (const Entry& entry : entries) {
    const std::string packed = entry.method == 8 ? deflated(entry.text) : entry.text;
    const std::size_t position = out.size();
    const std::string name_sizes = u16(entry.name.size());
    out += "PK\x03\x04" + u16(20) + u16(entry.flags) + u16(entry.method) + u32(0) + u32(0) +
           u32(0) + u32(0) + name_sizes + u16(0) + entry.name + packed;
    const std::string extra =
        wide ? u16(1) + u16(24) + u64(entry.text.size()) + u64(packed.size()) + u64(position) : "";
    const auto narrow = [&](std::size_t value) { return u32(wide ? 0xffffffffU : value); };
    directory += "PK\x01\x02" + u16(20) + u16(20) + u16(entry.flags) + u16(entry.method) + u32(0) +
                 u32(crc32_of(0, entry.text)) + narrow(packed.size()) + narrow(entry.text.size()) +
                 name_sizes + u16(extra.size()) + u16(0) + u16(0) + u16(0) + u32(0) +
                 narrow(position) + entry.name + extra;
  }
  const std::size_t at = out.size();
  out += directory;
  if (wide) {
    const std::size_t end64 = out.size();
    out += "PK\x06\x06" + u64(44) + u16(45) + u16(45) + u32(0) + u32(0) + u64(entries.size()) +
           u64(entries.size()) + u64(directory.size()) + u64(at);
    out += "PK\x06\x07" + u32(0) + u64(end64) + u32(1);
    return out + "PK\x05\x06" + u16(0) + u16(0) + u16(0xffff) + u16(0xffff) + u32(0xffffffffU) +
           u32(0xffffffffU) + u16(0);
  }
  return out + "PK\x05\x06" + u16(0) + u16(0) + u16(entries.size()) + u16(entries.size()) +
         u32(directory.size()) + u32(at) + u16(comment.size()) + comment;
}

/// "name=text;" of every file, or the error.
std::string read(std::string bytes) {
  const auto archive =
      ZipArchive::open(std::make_shared<const MemoryFile>(std::move(bytes)), "a.zip");
  if (!archive) return archive.error().message;
  std::string all;
  for (const auto& member : archive->members()) {
    auto next = archive->read(member);
    if (!next) return all + next.error().message;
    all += member.name + "=";
    for (;;) {
      const auto piece = (*next)();
      if (!piece) return all + piece.error().message;
      if (piece->empty()) break;
      all += *piece;
    }
    all += ";";
  }
  return all;
}

const std::vector<Entry> kTwo = {{"a/x.csv", "1,2\n3,4\n"}, {"b.csv", "stored", 0}, {"a/", "", 0}};

TEST(Zip, files_are_read_whether_deflated_or_stored_and_however_wide_the_numbers) {
  EXPECT_EQ(read(zip(kTwo)), "a/x.csv=1,2\n3,4\n;b.csv=stored;");
  EXPECT_EQ(read(zip(kTwo, true)), "a/x.csv=1,2\n3,4\n;b.csv=stored;");
  EXPECT_EQ(read(zip(kTwo, false, "a comment with PK\x05\x06 in it and more behind, enough")),
            "a/x.csv=1,2\n3,4\n;b.csv=stored;");
  EXPECT_EQ(read(zip({})), "");
  std::string large;
  for (int i = 0; i < 200'000; ++i) large += std::to_string(i * 7919 % 100'003) + "\n";
  EXPECT_EQ(read(zip({{"l", large}})), "l=" + large + ";");
}

TEST(Zip, a_member_ends_right_wherever_a_block_of_unpacked_bytes_does) {
  // All packed bytes are used up while the last of what they say does not fit into a block.
  std::string row = "2024-01-02T14:30:00Z,AAPL,1.5,100,\n";
  for (std::size_t head = 0; head < row.size(); ++head) {
    std::string text = "timestamp,symbol,price,size," + std::string(head, 'x') + "\n";
    while (text.size() <= 128 << 10) text += row;
    EXPECT_TRUE(read(zip({{"a.csv", text}})) == "a.csv=" + text + ";") << head;
  }
}

TEST(Zip, every_cut_and_every_changed_byte_is_an_error_or_changes_nothing_but_a_name) {
  const std::string whole = zip({{"x.csv", "timestamp,price,size\n2025-01-06T14:30:00Z,1.5,7\n"}});
  const std::string expected = read(whole);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_TRUE(read(whole.substr(0, size)).find("a.zip") != std::string::npos) << size;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const unsigned flip : {1U, 0x80U}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ flip);
      const std::string got = read(changed);
      const bool same_text =
          got.substr(std::min(got.find('='), got.size())) == expected.substr(expected.find('='));
      // Without entries the archive is empty: what says so is the end record alone.
      EXPECT_TRUE(same_text || got.empty() || got.find("a.zip") != std::string::npos)
          << at << ": " << got;
    }
  }
}

TEST(Zip, attacks_and_what_is_not_read_are_refused_by_name) {
  for (const std::string name : {"../x", "/etc/x", "a/../../x", "a\\x", "a\nx", ""})
    EXPECT_TRUE(read(zip({{name, "x"}})).find("leads out of its folder") != std::string::npos);
  EXPECT_EQ(read(zip({{"x", "y", 8, 1}})), "'a.zip/x' is encrypted");
  EXPECT_EQ(read(zip({{"x", "y", 99}})), "'a.zip/x' is encrypted");
  EXPECT_EQ(read(zip({{"x", "y", 12}})), "'a.zip/x' is packed by method 12");
  const std::string bomb = zip({{"x", std::string(80 << 20, '\n')}});
  EXPECT_EQ(read(bomb), "'a.zip/x' would unpack to more than 250 times its size");

  // Two entries of the directory that share one file.
  std::string twice = zip({{"x", std::string(3000, 'y'), 0}});
  const auto entry = twice.find("PK\x01\x02");
  const std::string header = twice.substr(entry, 46 + 1);
  std::string end = twice.substr(entry + header.size());
  end.replace(8, 8, u16(2) + u16(2) + u32(2 * header.size()));
  EXPECT_EQ(read(twice.substr(0, entry) + header + header + end),
            "the files in 'a.zip' lie on top of each other");
}

TEST(Zip, only_what_begins_like_one_looks_like_one) {
  EXPECT_TRUE(looks_like_zip(zip(kTwo)));
  EXPECT_TRUE(looks_like_zip(zip({})));
  EXPECT_FALSE(looks_like_zip("PK"));
  EXPECT_FALSE(looks_like_zip("symbol,price"));
}

}  // namespace
}  // namespace tapeline::io
