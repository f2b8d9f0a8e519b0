#include "io/line_reader.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <vector>

namespace tapeline::io {
namespace {

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// A stream that hands out `bytes` in pieces of `size`.
LineReader in_pieces(std::string bytes, std::size_t size, LineReader::Options options = {}) {
  return LineReader::from_chunks(
      "upload",
      [bytes = std::move(bytes), size, at = std::size_t{0}]() mutable -> Result<std::string> {
        auto piece = bytes.substr(std::min(at, bytes.size()), size);
        at += size;
        return piece;
      },
      options);
}

/// Every line up to the end or the first error, which comes last with a `!`.
std::vector<std::string> all_lines(LineReader reader) {
  std::vector<std::string> lines;
  for (;;) {
    auto line = reader.next();
    if (!line) {
      lines.push_back("!" + line.error().message);
      return lines;
    }
    if (!line->has_value()) return lines;
    lines.emplace_back(**line);
    EXPECT_EQ(reader.line_number(), std::ssize(lines));
  }
}

const std::vector<std::string> kThree{"one", "", "three"};

TEST(LineReader, lines_are_the_same_whatever_the_pieces_and_the_packing) {
  for (const std::string text : {"one\n\nthree", "one\r\n\r\nthree\r\n", "one\n\nthree\n"})
    for (std::size_t size = 1; size < 20; ++size) {
      EXPECT_EQ(all_lines(in_pieces(text, size)), kThree);
      EXPECT_EQ(all_lines(in_pieces(gzip(text), size)), kThree);
      EXPECT_EQ(all_lines(in_pieces(gzip("one\n") + gzip("\nthree"), size)), kThree);
      const std::string zeros(50, '\0');  // as gzip and Python, where a block had to be filled
      EXPECT_EQ(all_lines(in_pieces(gzip("one\n") + zeros + gzip("\nthree") + zeros, size)),
                kThree);
    }
  EXPECT_TRUE(all_lines(in_pieces("", 1)).empty());
  EXPECT_EQ(all_lines(in_pieces("\x1f", 1)).size(), 1U);
}

TEST(LineReader, every_cut_of_a_gzip_stream_is_an_error_after_the_whole_lines) {
  const auto whole = gzip("one\n\nthree\n");
  for (std::size_t size = 3; size < whole.size(); ++size) {
    const auto lines = all_lines(in_pieces(whole.substr(0, size), 7));
    ASSERT_FALSE(lines.empty());
    EXPECT_TRUE(lines.back().starts_with("!'upload' line ")) << lines.back();
    EXPECT_TRUE(lines.back().ends_with("the gzip stream ends too early")) << lines.back();
  }
  auto damaged = whole;
  damaged[12] = static_cast<char>(damaged[12] ^ 0x55);
  EXPECT_TRUE(all_lines(in_pieces(damaged, 7)).back().starts_with("!"));
}

TEST(LineReader, what_is_no_text_line_names_file_and_line) {
  EXPECT_EQ(all_lines(in_pieces(std::string("ab\nc\0d\n", 7), 3)).back(),
            "!'upload' line 2: there is a NUL byte");
  const LineReader::Options five{.line_bytes_max = 5};
  EXPECT_EQ(all_lines(in_pieces("12345\n12345", 4, five)).size(), 2U);
  EXPECT_EQ(all_lines(in_pieces("ok\n123456", 4, five)).back(),
            "!'upload' line 2: the line is longer than 5 bytes");
  EXPECT_EQ(all_lines(in_pieces("ok\n" + std::string(1000, 'x'), 1000, five)).back(),
            "!'upload' line 2: the line is longer than 5 bytes");
}

TEST(LineReader, a_file_is_read_and_a_missing_one_is_named) {
  const auto path = std::filesystem::path(testing::TempDir()) / "line_reader_test.csv";
  std::ofstream(path) << "one\n\nthree\n";
  auto reader = LineReader::open(path);
  ASSERT_TRUE(reader);
  EXPECT_EQ(all_lines(*std::move(reader)), kThree);
  std::filesystem::remove(path);
  const auto missing = LineReader::open(path);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_EQ(LineReader::open(testing::TempDir()).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace tapeline::io
