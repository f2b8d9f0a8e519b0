#include <utility>

#include "io/http_peer.h"

namespace tapeline::io {

HttpStream::Written HttpStream::write(std::string bytes) {
  if (!state_) return Written::refused;
  std::shared_ptr<HttpPeer> peer;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->closed || state_->ended) return Written::refused;
    const std::size_t waiting = state_->framed.size() + state_->pending.size();
    if (waiting + bytes.size() > state_->pending_bytes_max) return Written::refused;
    if (state_->pending.empty())
      state_->pending = std::move(bytes);
    else
      state_->pending += bytes;
    if (state_->scheduled) return Written::waits;
    peer = state_->peer.lock();
    if (!peer) return Written::refused;
    if (peer->send_now(*state_)) return Written::sent;
    state_->scheduled = true;
  }
  peer->post_flush();
  return Written::waits;
}

void HttpStream::end() {
  if (!state_) return;
  std::shared_ptr<HttpPeer> peer;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->closed || state_->ended) return;
    state_->ended = true;
    if (state_->scheduled) return;
    state_->scheduled = true;
    peer = state_->peer.lock();
  }
  if (peer) peer->post_flush();
}

bool HttpStream::closed() const {
  if (!state_) return true;
  std::lock_guard lock(state_->mutex);
  return state_->closed;
}

HttpReply HttpPeer::reply_to(std::weak_ptr<HttpPeer> peer) {
  HttpReply reply;
  reply.state_ = std::make_shared<HttpReply::State>();
  reply.state_->peer = std::move(peer);
  return reply;
}

void HttpReply::send(HttpResponse response) {
  if (std::exchange(state_->answered, true)) return;
  if (const auto peer = state_->peer.lock()) peer->post_send(std::move(response));
}

HttpStream HttpReply::stream(HttpStream::Options options, HttpStream::Events events) {
  HttpStream stream;
  stream.state_ = std::make_shared<HttpStream::State>();
  stream.state_->pending_bytes_max = options.pending_bytes_max;
  stream.state_->events = std::move(events);
  const auto peer = std::exchange(state_->answered, true) ? nullptr : state_->peer.lock();
  if (peer) {
    stream.state_->peer = peer;
    peer->post_stream(stream.state_, std::move(options));
  } else {
    stream.state_->closed = true;
    if (stream.state_->events.on_closed) stream.state_->events.on_closed();
  }
  return stream;
}

HttpReply::State::~State() {
  if (answered) return;
  if (const auto open = peer.lock())
    open->post_send(http_error(500, "internal", "the request was dropped unanswered", ""));
}

}  // namespace tapeline::io
