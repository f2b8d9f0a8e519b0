#include "feeds/replay/file_feed.h"

namespace tapeline::feeds {
namespace {

/// Appends the next row to `into`; false at the file's end.
template <typename Row>
Result<bool> read_into(std::vector<Row>& into, FileRows& rows) {
  Row row;
  if (!TRY(rows.next(row))) return false;
  into.push_back(row);
  return true;
}

}  // namespace

Result<FileFeed> FileFeed::open(std::vector<std::filesystem::path> files, Options options) {
  auto checked = TRY(check_files(files, options.rows));
  return FileFeed(std::move(files), std::move(checked), std::move(options.data_source));
}

Result<FeedBatch> FileFeed::poll(std::size_t rows_max) {
  FeedBatch batch;
  while (batch.trades.size() + batch.bars.size() < rows_max && !finished()) {
    if (!rows_) rows_ = TRY(open_file_rows(files_[next_file_++], checked_.options));
    const bool more = rows_->kind() == RowKind::trades ? TRY(read_into(batch.trades, *rows_))
                                                       : TRY(read_into(batch.bars, *rows_));
    if (more) {
      ++rows_read_;
      continue;
    }
    stamps_without_zone_ += rows_->stamps_without_zone();
    rows_.reset();
  }
  if (finished()) batch.settled = Timestamp::max();
  return batch;
}

}  // namespace tapeline::feeds
