// Any bytes as a file of trades, bars or quotes, plain or gzip: rows come or an error that names
// the file.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "feeds/file_rows.h"

namespace tapeline::feeds {
namespace {

/// Gives the bytes in small pieces: a row lies across them.
io::LineReader reader_of(std::string_view bytes) {
  return io::LineReader::from_chunks("AAPL.csv", [bytes]() mutable -> Result<std::string> {
    std::string piece(bytes.substr(0, 37));
    bytes.remove_prefix(piece.size());
    return piece;
  });
}

template <typename Row>
void read_all(FileRows& rows, Row row) {
  while (true) {
    const auto more = rows.next(row);
    if (!more) TL_ASSERT(more.error().message.find("AAPL.csv") != std::string::npos);
    if (!more || !*more) return;
    TL_ASSERT(!row.symbol.text().empty());
  }
}

void read_as(std::string_view bytes, FileRowsOptions options) {
  auto rows = FileRows::open(csv_rows(reader_of(bytes), 0), options);
  if (!rows) return;
  if (rows->kind() == RowKind::trades) {
    read_all(*rows, Trade{});
  } else if (rows->kind() == RowKind::quotes) {
    read_all(*rows, Quote{});
  } else {
    read_all(*rows, Bar{});
    auto stamps = FileRows::open(csv_rows(reader_of(bytes), 0), options);
    if (!stamps->wants_bar_length()) return;
    Timestamp at;
    Symbol symbol;
    for (auto more = stamps->next_stamp(at, symbol); more && *more;) {
      more = stamps->next_stamp(at, symbol);
    }
  }
}

}  // namespace
}  // namespace tapeline::feeds

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline::feeds;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_as(bytes, {.bar_length = {}, .with_conditions = true});
  read_as(bytes, {.bar_length = tapeline::BarLength::m1, .with_conditions = false});
  return 0;
}
