// LineReader: the lines of a file or of an upload, one at a time, with their numbers.
//
// Bytes that begin with gzip's two magic bytes are unpacked on the way, whatever the file is
// called; several gzip members back to back are one text. Nothing but the current line and one
// block is held, so a file of any size can be read. A line ends with LF or CRLF; the last one
// needs no end.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tapeline::io {

/// Reads lines.
///
/// threads: one at a time
class LineReader {
 public:
  struct Options {
    std::size_t line_bytes_max = 64 << 10;
  };

  /// The next bytes of a stream; an empty piece is its end.
  using NextChunk = std::function<Result<std::string>()>;

  /// errors: not_found, unavailable (the file is there and cannot be read)
  static Result<LineReader> open(const std::filesystem::path& file, Options options);
  static Result<LineReader> open(const std::filesystem::path& file);

  /// Reads from a stream; errors call it `name`.
  static LineReader from_chunks(std::string name, NextChunk next_chunk, Options options);
  static LineReader from_chunks(std::string name, NextChunk next_chunk);

  LineReader(LineReader&&) noexcept;
  LineReader& operator=(LineReader&&) noexcept;
  ~LineReader();

  /// The next line without its end; none after the last.
  ///
  /// errors:   corrupt (a gzip stream that is cut or damaged, a NUL byte, a line that is too
  ///           long): the message names file and line; what the stream itself answers
  /// lifetime: the view is good until the next call
  Result<std::optional<std::string_view>> next();

  /// The number of the line that next() gave last; the first is 1.
  std::int64_t line_number() const;

  /// How many bytes of the file or stream were taken so far, packed as they are.
  std::int64_t bytes_read() const;

  /// What errors call the input: the file's path, or the stream's name.
  const std::string& name() const;

 private:
  struct State;
  explicit LineReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tapeline::io
