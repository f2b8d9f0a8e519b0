#include "reader.h"

namespace tapeline::sim {

std::string seen_of(const text::Value& quote) {
  const text::Value* price = quote.find("price");
  return fmt::format("{} of {}", price ? text::to_json(*price) : "none",
                     quote.string_or("event_time", ""));
}

void Reader::connect(serve::Api& api) {
  io::HttpRequest request{.method = "GET", .target = *io::parse_target("/api/v1/stream")};
  if (!last_id_.empty()) request.headers.emplace_back("Last-Event-ID", last_id_);
  api.handle(std::move(request), HttpPeer::reply_to(weak_from_this()));
}

void Reader::close() {
  const auto stream = std::exchange(stream_, nullptr);
  if (!stream) return;
  {
    std::lock_guard lock(stream->mutex);
    stream->closed = true;
    stream->pending = {};
  }
  if (stream->events.on_closed) stream->events.on_closed();
}

void Reader::post_send(io::HttpResponse response) {
  problems_.push_back(fmt::format("a stream was answered {}", response.status));
}

void Reader::post_stream(std::shared_ptr<StreamState> stream, io::HttpStream::Options) {
  stream_ = std::move(stream);
}

/// As the server does: writes what waits; where nothing does, says so to whoever feeds the stream.
bool Reader::take() {
  if (!stream_) return false;
  std::string bytes;
  {
    std::lock_guard lock(stream_->mutex);
    bytes = std::exchange(stream_->pending, {});
    if (bytes.empty()) stream_->scheduled = false;
  }
  if (bytes.empty()) {
    if (stream_->events.on_writable) stream_->events.on_writable();
    std::lock_guard lock(stream_->mutex);
    return !stream_->pending.empty();
  }
  in_one_take_.clear();
  for (std::string_view rest = bytes; !rest.empty();) {
    const auto end = rest.find("\n\n");
    if (end == std::string_view::npos) {
      problems_.push_back("an event is cut short");
      break;
    }
    read_event(rest.substr(0, end));
    rest.remove_prefix(end + 2);
  }
  return true;
}

void Reader::read_event(std::string_view event) {
  std::string name, data, id;
  while (!event.empty()) {
    const auto end = std::min(event.find('\n'), event.size());
    const std::string_view line = event.substr(0, end);
    event.remove_prefix(std::min(end + 1, event.size()));
    if (line.starts_with("event: ")) name = line.substr(7);
    if (line.starts_with("data: ")) data = line.substr(6);
    if (line.starts_with("id: ")) id = line.substr(4);
  }
  if (name != "quote") return;
  const auto quote = text::parse_json(data);
  const auto position = serve::StreamPosition::parse(id);
  if (!quote || !position) {
    problems_.push_back(fmt::format("a quote event cannot be read: {} {}", id, data));
    return;
  }
  const auto before = serve::StreamPosition::parse(last_id_);
  if (before && before->topic_id == position->topic_id && position->total() < before->total()) {
    problems_.push_back(fmt::format("event ids go back from {} to {}", last_id_, id));
  }
  last_id_ = id;
  const std::string symbol = quote->string_or("symbol", "");
  if (!in_one_take_.insert(symbol).second) {
    problems_.push_back(fmt::format("two values of {} waited for one reader", symbol));
  }
  shown_.insert_or_assign(symbol, seen_of(*quote));
}

}  // namespace tapeline::sim
