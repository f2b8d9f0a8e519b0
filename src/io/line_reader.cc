#include "io/line_reader.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <system_error>

#include "io/inflate.h"

namespace tapeline::io {
namespace {

constexpr std::size_t kBlockBytes = 128 << 10;

}  // namespace

struct LineReader::State {
  std::string name;
  NextChunk next_chunk;
  Options options;
  std::int64_t line_number = 0;
  std::int64_t bytes_read = 0;

  bool ended = false;       // the stream has no more bytes
  bool recognised = false;  // gzip or not is known
  std::string packed;       // the chunk that gunzip works on
  std::optional<Inflate> gunzip;
  std::string text;  // unpacked bytes; those before `at` are used up
  std::size_t at = 0;
  std::size_t searched = 0;  // no line end before this place

  Error damage(std::string what, std::string hint) const {
    return Error{ErrorCode::corrupt, fmt::format("'{}' line {}: {}", name, line_number + 1, what),
                 std::move(hint)};
  }

  Result<std::string> chunk() {
    auto bytes = TRY(next_chunk());
    if (bytes.empty()) ended = true;
    bytes_read += std::ssize(bytes);
    return bytes;
  }

  /// Takes the first bytes and looks whether they are gzip's.
  Status recognise() {
    std::string head;
    while (head.size() < 2 && !ended) head += TRY(chunk());
    recognised = true;
    if (head.starts_with("\x1f\x8b")) {
      gunzip.emplace(Inflate::Wrapping::gzip);
      packed = std::move(head);
      gunzip->give(packed);
    } else {
      text = std::move(head);
    }
    return Ok{};
  }

  /// Makes `text` longer, unless the stream is over.
  Status fill() {
    if (!recognised) return recognise();
    text.erase(0, at);
    searched -= at;
    at = 0;
    if (!gunzip) {
      text += TRY(chunk());
      return Ok{};
    }
    if (gunzip->wants_more()) {
      packed = TRY(chunk());
      gunzip->give(packed);
    }
    if (ended) {
      if (gunzip->at_end()) return Ok{};
      return damage("the gzip stream ends too early",
                    "The file was cut off; copy or download it again.");
    }
    if (!gunzip->unpack(text))
      return damage("the gzip stream is damaged", "Copy or download the file again.");
    return Ok{};
  }

  /// Checks the line in `text` from `at` to `end` and steps to `after` it.
  Result<std::optional<std::string_view>> give(std::size_t end, std::size_t after) {
    std::string_view line(text.data() + at, end - at);
    if (line.size() > options.line_bytes_max) return too_long();
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && std::memchr(line.data(), '\0', line.size()) != nullptr)
      return damage("there is a NUL byte", "If the file is UTF-16, save it as UTF-8.");
    at = searched = after;
    ++line_number;
    return std::optional(line);
  }

  Error too_long() const {
    return damage(fmt::format("the line is longer than {} bytes", options.line_bytes_max),
                  "Is this a text file with one row a line?");
  }

  Result<std::optional<std::string_view>> next() {
    for (;;) {
      if (searched < text.size()) {
        const void* found = std::memchr(text.data() + searched, '\n', text.size() - searched);
        if (found != nullptr) {
          const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
          return give(end, end + 1);
        }
      }
      searched = text.size();
      if (text.size() - at > options.line_bytes_max) return too_long();
      if (ended) break;
      TRY_STATUS(fill());
    }
    if (at == text.size()) return std::optional<std::string_view>();
    return give(text.size(), text.size());
  }
};

LineReader::LineReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineReader::LineReader(LineReader&&) noexcept = default;
LineReader& LineReader::operator=(LineReader&&) noexcept = default;
LineReader::~LineReader() = default;

Result<LineReader> LineReader::open(const std::filesystem::path& file, Options options) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is a folder, not a file", file.string()), ""};
  std::shared_ptr<std::FILE> handle(std::fopen(file.c_str(), "rb"), [](std::FILE* opened) {
    if (opened) std::fclose(opened);
  });
  if (!handle) {
    const int reason = errno;
    return Error{
        reason == ENOENT ? ErrorCode::not_found : ErrorCode::unavailable,
        fmt::format("cannot open '{}': {}", file.string(), std::generic_category().message(reason)),
        ""};
  }
  auto next_chunk = [handle, name = file.string()]() -> Result<std::string> {
    std::string block(kBlockBytes, '\0');
    block.resize(std::fread(block.data(), 1, block.size(), handle.get()));
    if (block.empty() && std::ferror(handle.get()) != 0)
      return Error{ErrorCode::unavailable, fmt::format("cannot read '{}'", name), ""};
    return block;
  };
  return from_chunks(file.string(), std::move(next_chunk), options);
}
Result<LineReader> LineReader::open(const std::filesystem::path& file) { return open(file, {}); }

LineReader LineReader::from_chunks(std::string name, NextChunk next_chunk, Options options) {
  auto state = std::make_unique<State>();
  state->name = std::move(name);
  state->next_chunk = std::move(next_chunk);
  state->options = options;
  return LineReader(std::move(state));
}
LineReader LineReader::from_chunks(std::string name, NextChunk next_chunk) {
  return from_chunks(std::move(name), std::move(next_chunk), {});
}

Result<std::optional<std::string_view>> LineReader::next() { return state_->next(); }
std::int64_t LineReader::line_number() const { return state_->line_number; }
std::int64_t LineReader::bytes_read() const { return state_->bytes_read; }
const std::string& LineReader::name() const { return state_->name; }

}  // namespace tapeline::io
