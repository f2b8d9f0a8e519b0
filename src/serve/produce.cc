#include "serve/produce.h"

#include <fmt/format.h>

#include "msglog/rules.h"
#include "serve/base64.h"
#include "text/value.h"
#include "wire/flat_message.h"

namespace tapeline::serve {
namespace {

Result<msglog::Record> record_of_line(std::string_view line, std::size_t number) {
  msglog::Record record{"", std::string(line)};
  if (!line.starts_with('{')) return record;
  if (wire::Draft plain; wire::read_flat_message(line, plain)) {
    record.key = plain.row.symbol;
    return record;
  }
  const auto json = text::parse_json(line);
  if (!json) return record;
  const text::Value* encoded = json->find("value_base64");
  if (!encoded) {
    record.key = json->string_or("symbol", "");
    return record;
  }
  auto value = encoded->is_string() ? base64_decode(encoded->as_string()) : std::nullopt;
  const text::Value* key = json->find("key");
  if (!value || (key && !key->is_string() && !key->is_null()))
    return Error{ErrorCode::invalid_argument,
                 fmt::format("line {} has a 'value_base64' or a 'key' that cannot be read", number),
                 "Write the value in base64 with padding, and the key as text."};
  record.value = *std::move(value);
  record.key = json->string_or("key", "");
  return record;
}

}  // namespace

Result<std::vector<msglog::Record>> next_records(std::string_view& body, std::size_t& number) {
  std::vector<msglog::Record> records;
  while (!body.empty() && records.size() < msglog::kRecordsMax) {
    const std::size_t end = std::min(body.find('\n'), body.size());
    std::string_view line = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) records.push_back(TRY(record_of_line(line, number)));
  }
  return records;
}

Result<std::vector<msglog::Record>> records_of_lines(std::string_view body) {
  std::size_t number = 0;
  auto records = TRY(next_records(body, number));
  if (!TRY(next_records(body, number)).empty())
    return Error{ErrorCode::invalid_argument,
                 fmt::format("the body has more than {} lines", msglog::kRecordsMax),
                 "Send them in several requests, one after the other."};
  if (records.empty())
    return Error{ErrorCode::invalid_argument, "the body has no line",
                 "Send one record a line, as newline-delimited JSON."};
  return records;
}

}  // namespace tapeline::serve
