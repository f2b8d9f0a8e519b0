#include "warehouse/duckdb/chunk.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace tapeline::warehouse {
namespace {

/// An unscaled decimal as text, with all of its scale: 1234 at scale 2 is "12.34".
std::string decimal_text(duckdb_hugeint value, int scale) {
  __extension__ using Int128 = __int128;
  __extension__ using Unsigned128 = unsigned __int128;
  const auto whole = static_cast<Int128>((static_cast<Unsigned128>(value.upper) << 64) |
                                         static_cast<Unsigned128>(value.lower));
  Unsigned128 left = whole < 0 ? -static_cast<Unsigned128>(whole) : static_cast<Unsigned128>(whole);
  std::array<char, 48> text{};  // 39 digits, a point and a sign; filled from the right
  char* const end = text.data() + text.size();
  char* at = end;
  const auto put = [&](auto& digits) {
    if (scale > 0 && at == end - scale) *--at = '.';
    *--at = static_cast<char>('0' + static_cast<int>(digits % 10));
    digits /= 10;
  };
  constexpr auto kSmall = std::numeric_limits<std::uint64_t>::max();
  while (left > kSmall) put(left);
  // Of 64 bits the divisions are many times cheaper, and a price has no more.
  auto small = static_cast<std::uint64_t>(left);
  do {
    put(small);
  } while (small != 0 || at >= end - scale);
  if (whole < 0) *--at = '-';
  return {at, end};
}

duckdb_hugeint widened(std::int64_t value) {
  return {static_cast<std::uint64_t>(value), value < 0 ? -1 : 0};
}

Value whole_number(duckdb_hugeint value) {
  const auto low = static_cast<std::int64_t>(value.lower);
  if (value.upper == (low < 0 ? -1 : 0)) return low;
  return Decimal{decimal_text(value, 0)};
}

std::string_view text_of(const duckdb_string_t& text) {
  const std::uint32_t size =
      duckdb_string_is_inlined(text) ? text.value.inlined.length : text.value.pointer.length;
  return {duckdb_string_is_inlined(text) ? text.value.inlined.inlined : text.value.pointer.ptr,
          size};
}

// Dates and times outside of these, infinity among them, are given in DuckDB's own words: years of
// more digits are neither RFC 3339 nor known to std::chrono.
constexpr Date kFirstDay = std::chrono::sys_days(std::chrono::year(0) / 1 / 1);
constexpr Date kEndOfDays = std::chrono::sys_days(std::chrono::year(10000) / 1 / 1);

std::string text_of(duckdb_value value) {
  char* text = duckdb_get_varchar(value);
  std::string copy = text ? text : "";
  duckdb_free(text);
  duckdb_destroy_value(&value);
  return copy;
}

/// A blob as DuckDB prints it: \xAB for what is no printable ASCII.
std::string blob_text(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e || c == '\\' || c == '\'' || c == '"') {
      out += fmt::format("\\x{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

template <typename T>
T at(const void* data, std::size_t row) {
  return static_cast<const T*>(data)[row];
}

}  // namespace

/// How one column of a chunk is read.
struct ChunkRows::Reader {
  LogicalType type;
  duckdb_type id = DUCKDB_TYPE_INVALID;
  duckdb_type physical = DUCKDB_TYPE_INVALID;  // of a decimal or an enum
  int scale = 0;
  const void* data = nullptr;
  const std::uint64_t* valid = nullptr;

  explicit Reader(duckdb_vector vector) : type(duckdb_vector_get_column_type(vector)) {
    id = duckdb_get_type_id(type.get());
    data = duckdb_vector_get_data(vector);
    valid = duckdb_vector_get_validity(vector);
    if (id == DUCKDB_TYPE_DECIMAL) {
      physical = duckdb_decimal_internal_type(type.get());
      scale = duckdb_decimal_scale(type.get());
    } else if (id == DUCKDB_TYPE_ENUM) {
      physical = duckdb_enum_internal_type(type.get());
    }
  }

  Value read(std::size_t row) const {
    if (valid && !duckdb_validity_row_is_valid(const_cast<std::uint64_t*>(valid), row)) return {};
    switch (id) {
      case DUCKDB_TYPE_BOOLEAN:
        return at<bool>(data, row);
      case DUCKDB_TYPE_TINYINT:
        return std::int64_t{at<std::int8_t>(data, row)};
      case DUCKDB_TYPE_SMALLINT:
        return std::int64_t{at<std::int16_t>(data, row)};
      case DUCKDB_TYPE_INTEGER:
        return std::int64_t{at<std::int32_t>(data, row)};
      case DUCKDB_TYPE_BIGINT:
        return at<std::int64_t>(data, row);
      case DUCKDB_TYPE_UTINYINT:
        return std::int64_t{at<std::uint8_t>(data, row)};
      case DUCKDB_TYPE_USMALLINT:
        return std::int64_t{at<std::uint16_t>(data, row)};
      case DUCKDB_TYPE_UINTEGER:
        return std::int64_t{at<std::uint32_t>(data, row)};
      case DUCKDB_TYPE_UBIGINT:
        return whole_number({at<std::uint64_t>(data, row), 0});
      case DUCKDB_TYPE_HUGEINT:
        return whole_number(at<duckdb_hugeint>(data, row));
      case DUCKDB_TYPE_FLOAT:
        return static_cast<double>(at<float>(data, row));
      case DUCKDB_TYPE_DOUBLE:
        return at<double>(data, row);
      case DUCKDB_TYPE_DECIMAL:
        return Decimal{decimal_text(unscaled(row), scale)};
      case DUCKDB_TYPE_VARCHAR:
        return std::string(text_of(at<duckdb_string_t>(data, row)));
      case DUCKDB_TYPE_BLOB:
        return blob_text(text_of(at<duckdb_string_t>(data, row)));
      case DUCKDB_TYPE_DATE: {
        const Date date(std::chrono::days(at<std::int32_t>(data, row)));
        if (date >= kFirstDay && date < kEndOfDays) return date;
        return text_of(duckdb_create_date(at<duckdb_date>(data, row)));
      }
      case DUCKDB_TYPE_TIMESTAMP:
      case DUCKDB_TYPE_TIMESTAMP_TZ: {
        const Timestamp time(std::chrono::microseconds(at<std::int64_t>(data, row)));
        if (time >= kFirstDay && time < kEndOfDays) return time;
        return text_of(duckdb_create_timestamp(at<duckdb_timestamp>(data, row)));
      }
      case DUCKDB_TYPE_ENUM:
        return enum_text(row);
      default:
        return {};
    }
  }

  duckdb_hugeint unscaled(std::size_t row) const {
    switch (physical) {
      case DUCKDB_TYPE_SMALLINT:
        return widened(at<std::int16_t>(data, row));
      case DUCKDB_TYPE_INTEGER:
        return widened(at<std::int32_t>(data, row));
      case DUCKDB_TYPE_BIGINT:
        return widened(at<std::int64_t>(data, row));
      default:
        return at<duckdb_hugeint>(data, row);
    }
  }

  Value enum_text(std::size_t row) const {
    const std::uint32_t index = physical == DUCKDB_TYPE_UTINYINT    ? at<std::uint8_t>(data, row)
                                : physical == DUCKDB_TYPE_USMALLINT ? at<std::uint16_t>(data, row)
                                                                    : at<std::uint32_t>(data, row);
    char* text = duckdb_enum_dictionary_value(type.get(), index);
    std::string copy = text;
    duckdb_free(text);
    return copy;
  }
};

Column describe(std::string name, duckdb_logical_type type) {
  Column column{.name = std::move(name)};
  switch (duckdb_get_type_id(type)) {
    case DUCKDB_TYPE_BOOLEAN:
      column.type = "BOOLEAN", column.kind = Kind::boolean;
      break;
    case DUCKDB_TYPE_TINYINT:
      column.type = "TINYINT", column.kind = Kind::integer;
      break;
    case DUCKDB_TYPE_SMALLINT:
      column.type = "SMALLINT", column.kind = Kind::integer;
      break;
    case DUCKDB_TYPE_INTEGER:
      column.type = "INTEGER", column.kind = Kind::integer;
      break;
    case DUCKDB_TYPE_BIGINT:
      column.type = "BIGINT", column.kind = Kind::integer;
      break;
    case DUCKDB_TYPE_UTINYINT:
      column.type = "UTINYINT", column.kind = Kind::integer;
      break;
    case DUCKDB_TYPE_USMALLINT:
      column.type = "USMALLINT", column.kind = Kind::integer;
      break;
    case DUCKDB_TYPE_UINTEGER:
      column.type = "UINTEGER", column.kind = Kind::integer;
      break;
    case DUCKDB_TYPE_UBIGINT:
      column.type = "UBIGINT", column.kind = Kind::integer;
      break;
    case DUCKDB_TYPE_HUGEINT:
      column.type = "HUGEINT", column.kind = Kind::integer;
      break;
    case DUCKDB_TYPE_FLOAT:
      column.type = "FLOAT", column.kind = Kind::real;
      break;
    case DUCKDB_TYPE_DOUBLE:
      column.type = "DOUBLE", column.kind = Kind::real;
      break;
    case DUCKDB_TYPE_DECIMAL:
      column.type =
          fmt::format("DECIMAL({},{})", duckdb_decimal_width(type), duckdb_decimal_scale(type));
      column.kind = Kind::decimal;
      break;
    case DUCKDB_TYPE_DATE:
      column.type = "DATE", column.kind = Kind::date;
      break;
    case DUCKDB_TYPE_TIMESTAMP:
      column.type = "TIMESTAMP", column.kind = Kind::timestamp;
      break;
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      column.type = "TIMESTAMP WITH TIME ZONE", column.kind = Kind::timestamp;
      break;
    case DUCKDB_TYPE_VARCHAR:
      column.type = "VARCHAR", column.kind = Kind::text;
      break;
    case DUCKDB_TYPE_ENUM:
      column.type = "ENUM", column.kind = Kind::text;
      break;
    case DUCKDB_TYPE_BLOB:
      column.type = "BLOB", column.kind = Kind::other;
      break;
    default:
      column.type = "OTHER", column.kind = Kind::other;
  }
  return column;
}

bool is_plain(duckdb_type type) {
  switch (type) {
    case DUCKDB_TYPE_BOOLEAN:
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_UBIGINT:
    case DUCKDB_TYPE_HUGEINT:
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DOUBLE:
    case DUCKDB_TYPE_DECIMAL:
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB:
    case DUCKDB_TYPE_DATE:
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
    case DUCKDB_TYPE_ENUM:
      return true;
    default:
      return false;
  }
}

ChunkRows::ChunkRows(duckdb_data_chunk chunk) : rows_(duckdb_data_chunk_get_size(chunk)) {
  const auto columns = duckdb_data_chunk_get_column_count(chunk);
  for (idx_t i = 0; i < columns; ++i) readers_.emplace_back(duckdb_data_chunk_get_vector(chunk, i));
}
ChunkRows::ChunkRows(ChunkRows&&) noexcept = default;
ChunkRows::~ChunkRows() = default;

bool ChunkRows::next(std::vector<Value>& row) {
  if (at_ == rows_) return false;
  row.resize(readers_.size());
  for (std::size_t i = 0; i < readers_.size(); ++i) row[i] = readers_[i].read(at_);
  ++at_;
  return true;
}

bool give_rows(duckdb_data_chunk chunk, std::vector<Value>& row,
               const std::function<bool(const std::vector<Value>&)>& on_row) {
  ChunkRows rows(chunk);
  while (rows.next(row)) {
    if (!on_row(row)) return false;
  }
  return true;
}

namespace {

template <typename T>
void narrow(void* to, const std::vector<std::int64_t>& from, std::size_t first, std::size_t count) {
  auto* out = static_cast<T*>(to);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<T>(from[first + i]);
}

Status fill_integers(void* data, duckdb_logical_type type, const std::vector<std::int64_t>& from,
                     std::size_t first, std::size_t count) {
  duckdb_type id = duckdb_get_type_id(type);
  if (id == DUCKDB_TYPE_DECIMAL) id = duckdb_decimal_internal_type(type);
  if (id == DUCKDB_TYPE_ENUM) id = duckdb_enum_internal_type(type);
  switch (id) {
    case DUCKDB_TYPE_BOOLEAN:
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_UTINYINT:
      narrow<std::uint8_t>(data, from, first, count);
      return Ok{};
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_USMALLINT:
      narrow<std::uint16_t>(data, from, first, count);
      return Ok{};
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_DATE:
      narrow<std::uint32_t>(data, from, first, count);
      return Ok{};
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_TIMESTAMP:
      std::memcpy(data, from.data() + first, count * sizeof(std::int64_t));
      return Ok{};
    default:
      return Error{ErrorCode::invalid_argument,
                   fmt::format("column type {} takes no integers", static_cast<int>(id)), ""};
  }
}

/// A null is a 0 in `valid`. A vector of values only keeps no mask: DuckDB is faster without.
void mark_nulls(duckdb_vector vector, const std::uint8_t* valid, std::size_t count) {
  if (std::memchr(valid, 0, count) == nullptr) return;
  duckdb_vector_ensure_validity_writable(vector);
  std::uint64_t* words = duckdb_vector_get_validity(vector);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t bit = std::uint64_t{1} << (i % 64);
    words[i / 64] = valid[i] ? words[i / 64] | bit : words[i / 64] & ~bit;
  }
}

/// Short ASCII, as a symbol is, goes in place: no call, no check for UTF-8.
void put_text(duckdb_vector vector, void* data, std::size_t row, std::string_view text) {
  duckdb_string_t inlined{};
  char* const bytes = inlined.value.inlined.inlined;
  unsigned char all = 0;
  if (text.size() <= sizeof inlined.value.inlined.inlined) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      bytes[i] = text[i];
      all |= static_cast<unsigned char>(text[i]);
    }
    if (all < 0x80) {
      inlined.value.inlined.length = static_cast<std::uint32_t>(text.size());
      static_cast<duckdb_string_t*>(data)[row] = inlined;
      return;
    }
  }
  duckdb_vector_assign_string_element_len(vector, row, text.data(), text.size());
}

}  // namespace

Status fill_vector(duckdb_vector vector, duckdb_logical_type type, const ColumnData& column,
                   std::size_t first, std::size_t count) {
  if (!column.valid.empty()) mark_nulls(vector, column.valid.data() + first, count);
  void* data = duckdb_vector_get_data(vector);
  if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    return fill_integers(data, type, *whole, first, count);
  }
  if (const auto* real = std::get_if<std::vector<double>>(&column.values)) {
    if (duckdb_get_type_id(type) != DUCKDB_TYPE_DOUBLE) {
      return Error{ErrorCode::invalid_argument, "only a DOUBLE column takes doubles", ""};
    }
    std::memcpy(data, real->data() + first, count * sizeof(double));
    return Ok{};
  }
  const auto& texts = std::get<std::vector<std::string_view>>(column.values);
  const duckdb_type id = duckdb_get_type_id(type);
  if (id != DUCKDB_TYPE_VARCHAR && id != DUCKDB_TYPE_BLOB) {
    return Error{ErrorCode::invalid_argument, "only a VARCHAR or BLOB column takes texts", ""};
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!column.valid.empty() && !column.valid[first + i]) continue;
    put_text(vector, data, i, texts[first + i]);
  }
  return Ok{};
}

}  // namespace tapeline::warehouse
