#include "feeds/replay/file_feed.h"

#include <algorithm>

namespace tapeline::feeds {
namespace {

/// Appends the next row to `into`; false at the file's end.
template <typename Row>
Result<bool> read_into(std::vector<Row>& into, FileRows& rows, std::size_t rows_max) {
  if (into.empty()) into.reserve(std::min<std::size_t>(rows_max, 10'000));
  const bool is_row = TRY(rows.next(into.emplace_back()));
  if (!is_row) into.pop_back();
  return is_row;
}

}  // namespace

Result<FileFeed> FileFeed::open(std::vector<InputFile> files, Options options) {
  auto checked = TRY(check_files(files, options.rows));
  return FileFeed(std::move(files), std::move(checked), std::move(options.data_source));
}

Result<bool> FileFeed::read_row(FeedBatch& batch, std::size_t rows_max) {
  switch (rows_->kind()) {
    case RowKind::trades:
      return read_into(batch.trades, *rows_, rows_max);
    case RowKind::bars:
      return read_into(batch.bars, *rows_, rows_max);
    case RowKind::quotes:
      break;
  }
  if (!TRY(read_into(batch.quotes, *rows_, rows_max))) return false;
  batch.quotes.back().history = true;
  return true;
}

double FileFeed::part() const {
  double all = 0;
  double read = 0;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    // A file costs its opening too, however small it is.
    const double weight = static_cast<double>(files_[i].size_bytes) + 4096;
    all += weight;
    if (i + 1 < next_file_ || (i + 1 == next_file_ && !rows_)) read += weight;
    if (i + 1 == next_file_ && rows_) read += weight * rows_->part();
  }
  return all > 0 ? read / all : 1;
}

Result<FeedBatch> FileFeed::poll(std::size_t rows_max) {
  FeedBatch batch;
  for (std::size_t rows = 0; rows < rows_max && !finished();) {
    if (!rows_) rows_ = TRY(open_file_rows(files_[next_file_++], checked_.options));
    if (TRY(read_row(batch, rows_max))) {
      ++rows;
      ++rows_read_;
      ++rows_of_file_;
      continue;
    }
    stamps_without_zone_ += rows_->stamps_without_zone();
    done_.push_back({rows_->name(), rows_->kind(), std::exchange(rows_of_file_, 0)});
    rows_.reset();
  }
  if (finished()) batch.settled = Timestamp::max();
  return batch;
}

}  // namespace tapeline::feeds
