#include "io/http_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>

#include "io/http_connection.h"
#include "io/listening.h"

namespace tapeline::io {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr Duration kAcceptPause = std::chrono::milliseconds(100);  // no file descriptor left

}  // namespace

template <typename Acceptor>
void HttpServer::Shared::accept(Acceptor& acceptor, bool over_socket,
                                const std::shared_ptr<Shared>& self) {
  acceptor.async_accept([this, &acceptor, over_socket, weak = std::weak_ptr(self)](
                            error_code error, typename Acceptor::protocol_type::socket socket) {
    const auto alive = weak.lock();
    if (!alive || stopping) return;
    if (error) {
      auto pause = std::make_shared<asio::steady_timer>(io, kAcceptPause);
      pause->async_wait([this, &acceptor, over_socket, weak, pause](error_code) {
        const auto still = weak.lock();
        if (still && !stopping) accept(acceptor, over_socket, still);
      });
      return;
    }
    if constexpr (std::is_same_v<typename Acceptor::protocol_type, asio::ip::tcp>) {
      error_code ignored;
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    }
    const auto connection =
        std::make_shared<Connection>(alive, Connection::Socket(std::move(socket)), over_socket);
    const bool full = connections.size() >= options.connections_max;
    connections.insert(connection);
    connections_count = connections.size();
    if (full)
      connection->refuse_for_load();
    else
      connection->wait_for_request();
    accept(acceptor, over_socket, alive);
  });
}

void HttpServer::Shared::stop() {
  stopping = true;
  error_code ignored;
  if (tcp) tcp->close(ignored);
  if (local) local->close(ignored);
  const std::vector open(connections.begin(), connections.end());
  for (const auto& connection : open) connection->stop();
  if (connections.empty()) return;
  drain.expires_after(options.drain_max);
  drain.async_wait([this](error_code error) {
    if (!error) close_all();
  });
}

void HttpServer::Shared::close_all() {
  const std::vector open(connections.begin(), connections.end());
  for (const auto& connection : open) connection->close();
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(Clock& clock, HttpHandler& handler,
                                                     Options options) {
  auto shared = std::make_shared<Shared>(clock, handler, std::move(options));
  const Options& set = shared->options;
  error_code error;
  if (!set.address.empty()) {
    const auto listening = TRY(listen_tcp(set.address, set.port));
    shared->port = listening.port;
    const auto protocol = listening.is_ipv6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4();
    shared->tcp.emplace(shared->io, protocol, listening.fd);
    shared->hosts = {"localhost", "127.0.0.1", "::1", set.address};
    shared->hosts.insert(shared->hosts.end(), set.hosts.begin(), set.hosts.end());
  }
  if (!set.socket_path.empty()) {
    if (set.socket_path.size() > 107)
      return Error{ErrorCode::invalid_argument,
                   fmt::format("the socket's path '{}' is longer than 107 bytes", set.socket_path),
                   "Choose a data directory with a shorter path."};
    ::unlink(set.socket_path.c_str());
    shared->local.emplace(shared->io, asio::local::stream_protocol());
    // Linux gives the file the socket's own mode, so it is never open to others, not even briefly.
    ::fchmod(shared->local->native_handle(), 0600);
    shared->local->bind(asio::local::stream_protocol::endpoint(set.socket_path), error);
    if (!error) shared->local->listen(asio::socket_base::max_listen_connections, error);
    if (error) return listen_error(set.socket_path, error.value());
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(shared)));
}

HttpServer::HttpServer(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {
  if (shared_->tcp) shared_->accept(*shared_->tcp, false, shared_);
  if (shared_->local) shared_->accept(*shared_->local, true, shared_);
}

HttpServer::~HttpServer() {
  shared_->stop();
  shared_->close_all();
  shared_->io.restart();
  shared_->io.poll();  // operations that were cancelled let go of their connections
  if (shared_->local) ::unlink(shared_->options.socket_path.c_str());
}

std::uint16_t HttpServer::port() const { return shared_->port; }

std::size_t HttpServer::connections() const { return shared_->connections_count; }

void HttpServer::run(std::stop_token stop) {
  const std::stop_callback on_stop(std::move(stop), [shared = shared_] {
    asio::post(shared->io, [shared] { shared->stop(); });
  });
  shared_->io.run();
}

}  // namespace tapeline::io
