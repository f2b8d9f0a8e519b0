// FileFeed: the rows of files in one go, file after file in the order given. What `import` reads.

#pragma once

#include "feeds/feed.h"
#include "feeds/file_rows.h"

namespace tapeline::feeds {

/// threads: one at a time
class FileFeed final : public Feed {
 public:
  struct Options {
    FileRowsOptions rows;
    std::string data_source = "replay";
  };

  /// Checks every file's header and finds out how long bars are.
  /// errors: those of check_files
  static Result<FileFeed> open(std::vector<InputFile> files, Options options);

  std::string_view name() const override { return "files"; }
  std::string_view data_source() const override { return data_source_; }
  FeedClass feed_class() const override { return FeedClass::replay; }
  Result<FeedBatch> poll(std::size_t rows_max) override;
  bool finished() const override { return !rows_ && next_file_ == files_.size(); }

  /// What a person should know before the rows come.
  const std::vector<std::string>& notes() const { return checked_.notes; }

  /// How many rows were read so far, and of how many the stamp had no zone.
  std::int64_t rows_read() const { return rows_read_; }
  std::int64_t stamps_without_zone() const { return stamps_without_zone_; }

  /// A file that was read to its end.
  struct Done {
    std::string name;
    RowKind kind;
    std::int64_t rows;
  };
  const std::vector<Done>& done() const { return done_; }
  std::size_t files() const { return files_.size(); }

  /// How much of all bytes has been read, from 0 to 1.
  double part() const;

 private:
  FileFeed(std::vector<InputFile> files, CheckedFiles checked, std::string data_source)
      : files_(std::move(files)),
        checked_(std::move(checked)),
        data_source_(std::move(data_source)) {}

  Result<bool> read_row(FeedBatch& batch, std::size_t rows_max);

  std::vector<InputFile> files_;
  CheckedFiles checked_;
  std::string data_source_;
  std::size_t next_file_ = 0;
  std::optional<FileRows> rows_;
  std::vector<Done> done_;
  std::int64_t rows_of_file_ = 0;
  std::int64_t rows_read_ = 0;
  std::int64_t stamps_without_zone_ = 0;
};

}  // namespace tapeline::feeds
