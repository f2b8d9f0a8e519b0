// Parquet out and in again, through DuckDB; and the cursor, which the export reads by.

#include "warehouse/duckdb/duckdb_columnar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::warehouse {
namespace {

namespace fs = std::filesystem;

const auto clock_of_tests = make_system_clock();

struct Folder {
  fs::path path = fs::path(testing::TempDir()) / ("columnar_" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string file(std::string_view name) const { return (path / name).string(); }
};

using Row = std::vector<std::optional<std::string>>;

Status write(text::Columnar& columnar, const std::string& file,
             const std::vector<text::ColumnarColumn>& columns, std::vector<Row> rows) {
  std::size_t at = 0;
  return columnar.write(file, columns, [&](Row& cells) -> Result<bool> {
    if (at == rows.size()) return false;
    cells = rows[at++];
    return true;
  });
}

std::string read(text::Columnar& columnar, const std::string& file) {
  const auto names = columnar.columns(file);
  if (!names) return "error: " + names.error().message;
  auto reader = columnar.read(file, *names);
  if (!reader) return "error: " + reader.error().message;
  std::string out;
  std::vector<std::string_view> cells;
  for (;;) {
    const auto more = (*reader)->next(cells);
    if (!more) return out + "error: " + more.error().message;
    if (!*more) return out;
    for (const auto cell : cells) out += std::string(cell) + "|";
    out += "\n";
  }
}

TEST(Columnar, every_type_is_written_and_reads_as_csv_would_have_it) {
  const Folder folder;
  auto columnar = *make_columnar();
  const std::vector<text::ColumnarColumn> columns = {{"symbol", "VARCHAR"},
                                                     {"at", "TIMESTAMP"},
                                                     {"zoned", "TIMESTAMP WITH TIME ZONE"},
                                                     {"ns", "TIMESTAMP_NS"},
                                                     {"day", "DATE"},
                                                     {"price", "DECIMAL(18,6)"},
                                                     {"real", "DOUBLE"},
                                                     {"single", "FLOAT"},
                                                     {"whole", "BIGINT"},
                                                     {"wide", "HUGEINT"},
                                                     {"truth", "BOOLEAN"},
                                                     {"kind", "ENUM"},
                                                     {"bytes", "BLOB"},
                                                     {"a \"quoted\" name", "INTEGER"}};
  const Row row = {"AAPL",
                   "2025-01-04T14:30:00.000500Z",
                   "2025-01-04T14:30:00Z",
                   "2025-01-04T14:30:00.123456789Z",
                   "2025-01-04",
                   "189.120000",
                   "0.30000000000000004",
                   "150.1",
                   "-7",
                   "99999999999999999999",
                   "true",
                   "pre",
                   "a\\x0A",
                   "1"};
  Row nulls(columns.size());
  nulls[6] = "nan";  // what has no value reads like a null
  ASSERT_TRUE(write(*columnar, folder.file("t.parquet"), columns, {row, nulls}));
  EXPECT_EQ(read(*columnar, folder.file("t.parquet")),
            "AAPL|2025-01-04 14:30:00.0005|2025-01-04 14:30:00Z|2025-01-04 14:30:00.123456|"
            "2025-01-04|189.120000|0.30000000000000004|150.1|-7|99999999999999999999|true|pre|"
            "a\n|1|\n"
            "||||||||||||||\n");
  EXPECT_EQ(columnar->columns(folder.file("t.parquet"))->back(), "a \"quoted\" name");
}

TEST(Columnar, some_columns_are_read_by_name_and_in_that_order) {
  const Folder folder;
  auto columnar = *make_columnar();
  ASSERT_TRUE(write(*columnar, folder.file("t.parquet"), {{"a", "BIGINT"}, {"b", "VARCHAR"}},
                    {{"1", "x"}, {"2", "y"}}));
  auto reader = *columnar->read(folder.file("t.parquet"), {"b", "a"});
  EXPECT_EQ(reader->rows(), 2);
  std::vector<std::string_view> cells;
  ASSERT_TRUE(*reader->next(cells));
  EXPECT_EQ(cells, (std::vector<std::string_view>{"x", "1"}));
}

TEST(Columnar, a_file_may_be_called_anything) {
  const Folder folder;
  auto columnar = *make_columnar();
  ASSERT_TRUE(write(*columnar, folder.file("other.parquet"), {{"a", "BIGINT"}}, {{"2"}}));
  for (const std::string name : {"we[ir]d*?.parquet", "it's", "day=1.parquet", "*.parquet"}) {
    ASSERT_TRUE(write(*columnar, folder.file(name), {{"a", "BIGINT"}}, {{"1"}})) << name;
    EXPECT_EQ(read(*columnar, folder.file(name)), "1|\n") << name;
  }
}

TEST(Columnar, what_is_no_parquet_is_an_error_that_names_the_file) {
  const Folder folder;
  auto columnar = *make_columnar();
  ASSERT_TRUE(write(*columnar, folder.file("whole"), {{"a", "VARCHAR"}},
                    std::vector<Row>(5000, Row{"some text that has a length"})));
  const auto said = [&](const std::string& name) { return read(*columnar, folder.file(name)); };
  EXPECT_TRUE(said("none").find("there is no such file") != std::string::npos) << said("none");
  std::ofstream(folder.file("text")) << "symbol,price\nAAPL,1\n";
  EXPECT_TRUE(said("text").starts_with("error: reading '" + folder.file("text"))) << said("text");
  const auto size = fs::file_size(folder.file("whole"));
  for (const std::uintmax_t cut : {std::uintmax_t{4}, size / 2, size - 1}) {
    fs::copy_file(folder.file("whole"), folder.file("cut"), fs::copy_options::overwrite_existing);
    fs::resize_file(folder.file("cut"), cut);
    EXPECT_TRUE(said("cut").starts_with("error: reading '")) << said("cut");
  }
}

TEST(Columnar, an_error_of_the_rows_ends_the_writing_and_is_the_answer) {
  const Folder folder;
  auto columnar = *make_columnar();
  std::int64_t given = 0;
  const Status written =
      columnar->write(folder.file("t"), {{"a", "BIGINT"}}, [&](Row& cells) -> Result<bool> {
        if (++given > 5000) return Error{ErrorCode::cancelled, "enough of it", "A hint."};
        cells[0] = "1";
        return true;
      });
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::cancelled);
  EXPECT_EQ(written.error().hint, "A hint.");
  const auto wrong = write(*columnar, folder.file("t"), {{"a", "BIGINT"}}, {{"no number"}});
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(wrong.error().message.find("no number") != std::string::npos);
  EXPECT_FALSE(write(*columnar, folder.file("not/there"), {{"a", "BIGINT"}}, {{"1"}}));
}

TEST(Cursor, gives_every_row_in_order_and_ends_at_an_error) {
  auto warehouse = *DuckDbWarehouse::open(*clock_of_tests, {});
  const auto count = [&](std::string_view sql) -> std::string {
    auto cursor = warehouse->open_as_user(sql, {});
    if (!cursor) return "error: " + cursor.error().message;
    std::vector<Value> row;
    for (std::int64_t rows = 0;; ++rows) {
      const auto more = (*cursor)->next(row);
      if (!more) return fmt::format("{} rows, then {}", rows, more.error().message.substr(0, 16));
      if (!*more) return fmt::format("{} rows", rows);
      EXPECT_EQ(std::get<std::int64_t>(row.at(0)), rows);
    }
  };
  EXPECT_EQ(count("select i from range(100000) t(i)"), "100000 rows");
  EXPECT_EQ(count("select i from range(0) t(i);"), "0 rows");
  EXPECT_EQ(count("select i, [i] as list from range(3) t(i)"), "3 rows");  // a list comes as text
  const auto failing = count(
      "select case when i < 900000 then i else cast('x' || i as bigint) end from range(1000000) "
      "t(i)");
  EXPECT_TRUE(failing.find("rows, then Conversion Error") != std::string::npos) << failing;
  EXPECT_TRUE(count("drop table raw_stocks.loads").starts_with("error: "));
  EXPECT_TRUE(count("select * from read_csv('x')").starts_with("error: "));
}

TEST(Cursor, its_rows_go_into_parquet_and_asking_past_the_end_is_fine) {
  const Folder folder;
  auto warehouse = *DuckDbWarehouse::open(*clock_of_tests, {});
  auto cursor = *warehouse->open_as_user("select i from range(5000) t(i)", {});
  auto columnar = *make_columnar();
  std::vector<Value> row;
  ASSERT_TRUE(columnar->write(folder.file("t"), {{"i", "BIGINT"}}, [&](Row& cells) {
    auto more = cursor->next(row);
    if (more && *more) cells[0] = to_text(row[0]);
    return more;
  }));
  EXPECT_FALSE(*cursor->next(row));
  auto reader = *columnar->read(folder.file("t"), {"i"});
  std::vector<std::string_view> cells;
  std::int64_t rows = 0;
  while (*reader->next(cells)) EXPECT_EQ(cells[0], std::to_string(rows++));
  EXPECT_EQ(rows, 5000);
  EXPECT_FALSE(*reader->next(cells));
}

TEST(Cursor, a_stop_interrupts_it) {
  auto warehouse = *DuckDbWarehouse::open(*clock_of_tests, {});
  std::stop_source stop;
  auto cursor = *warehouse->open_as_user("select i from range(100000000) t(i)", stop.get_token());
  std::vector<Value> row;
  ASSERT_TRUE(*cursor->next(row));
  stop.request_stop();
  auto more = cursor->next(row);
  while (more && *more) more = cursor->next(row);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace tapeline::warehouse
