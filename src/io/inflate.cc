#include "io/inflate.h"

#include <zlib.h>

namespace tapeline::io {
namespace {

constexpr std::size_t kUnpackedBytes = 128 << 10;

}  // namespace

struct Inflate::State {
  explicit State(Wrapping its_wrapping) : wrapping(its_wrapping) {
    inflateInit2(&stream, wrapping == Wrapping::gzip ? 16 + MAX_WBITS : -MAX_WBITS);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { inflateEnd(&stream); }

  const Wrapping wrapping;
  z_stream stream{};
  bool at_end = false;
};

Inflate::Inflate(Wrapping wrapping) : state_(std::make_unique<State>(wrapping)) {}
Inflate::Inflate(Inflate&&) noexcept = default;
Inflate::~Inflate() = default;

void Inflate::give(std::string_view packed) {
  state_->stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  state_->stream.avail_in = static_cast<uInt>(packed.size());
}

bool Inflate::wants_more() const { return state_->stream.avail_in == 0; }
bool Inflate::at_end() const { return state_->at_end; }

bool Inflate::unpack(std::string& out) {
  z_stream& stream = state_->stream;
  if (state_->at_end) {
    if (state_->wrapping == Wrapping::none) return wants_more();
    for (; stream.avail_in > 0 && *stream.next_in == 0; ++stream.next_in) --stream.avail_in;
    if (wants_more()) return true;
    inflateReset(&stream);
    state_->at_end = false;
  }
  const std::size_t before = out.size();
  out.resize(before + kUnpackedBytes);
  stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
  stream.avail_out = kUnpackedBytes;
  const int answer = inflate(&stream, Z_NO_FLUSH);
  out.resize(out.size() - stream.avail_out);
  state_->at_end = answer == Z_STREAM_END;
  return answer == Z_OK || answer == Z_STREAM_END || answer == Z_BUF_ERROR;
}

std::uint32_t crc32_of(std::uint32_t before, std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace tapeline::io
