#include <utility>

#include "io/http_peer.h"

namespace tapeline::io {

bool HttpStream::write(std::string bytes) {
  if (!state_) return false;
  std::shared_ptr<HttpPeer> peer;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->closed || state_->ended) return false;
    if (state_->pending.size() + bytes.size() > state_->pending_bytes_max) return false;
    if (state_->pending.empty())
      state_->pending = std::move(bytes);
    else
      state_->pending += bytes;
    if (state_->scheduled) return true;
    peer = state_->peer.lock();
    if (!peer) return false;
    state_->scheduled = true;
  }
  peer->post_flush();
  return true;
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
