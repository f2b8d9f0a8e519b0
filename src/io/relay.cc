#include "io/relay.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <unordered_set>

#include "base/guarded.h"
#include "io/listening.h"

namespace tapeline::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kLot = 64 << 10;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);  // no file descriptor left

}  // namespace

struct Relay::Shared {
  explicit Shared(Options options_of) : options(std::move(options_of)) {}

  void accept(const std::shared_ptr<Shared>& self);
  void close_all();

  const Options options;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::steady_timer pause{io};
  std::uint16_t port = 0;
  Guarded<tcp::endpoint> target;
  std::unordered_set<std::shared_ptr<Pair>> pairs;
};

/// A connection and the one that it is passed on to.
class Relay::Pair : public std::enable_shared_from_this<Pair> {
 public:
  Pair(std::shared_ptr<Shared> shared, tcp::socket near)
      : shared_(std::move(shared)), near_(std::move(near)), far_(shared_->io) {}

  void begin() {
    far_.async_connect(shared_->target.copy(),
                       [self = shared_from_this()](const error_code& error) {
                         if (error) return self->refuse();
                         error_code none;
                         self->near_.set_option(tcp::no_delay(true), none);
                         self->far_.set_option(tcp::no_delay(true), none);
                         self->pass(self->near_, self->far_, self->there_);
                         self->pass(self->far_, self->near_, self->back_);
                       });
  }

  void close() {
    error_code none;
    near_.close(none);
    far_.close(none);
    shared_->pairs.erase(shared_from_this());
  }

 private:
  using Lot = std::array<char, kLot>;

  void refuse() {
    asio::async_write(near_, asio::buffer(shared_->options.refusal),
                      [self = shared_from_this()](const error_code&, std::size_t) {
                        // What was asked is read first: closing with unread bytes resets.
                        self->near_.async_read_some(
                            asio::buffer(self->there_),
                            [self](const error_code&, std::size_t) { self->close(); });
                      });
  }

  /// One way. The end of one side is passed on; when both are over, so is the pair.
  void pass(tcp::socket& from, tcp::socket& to, Lot& lot) {
    from.async_read_some(asio::buffer(lot), [self = shared_from_this(), &from, &to, &lot](
                                                const error_code& error, std::size_t size) {
      if (error) {
        error_code none;
        to.shutdown(tcp::socket::shutdown_send, none);
        if (error != asio::error::eof || ++self->over_ == 2) self->close();
        return;
      }
      asio::async_write(to, asio::buffer(lot, size),
                        [self, &from, &to, &lot](const error_code& failed, std::size_t) {
                          failed ? self->close() : self->pass(from, to, lot);
                        });
    });
  }

  const std::shared_ptr<Shared> shared_;
  tcp::socket near_;
  tcp::socket far_;
  Lot there_;
  Lot back_;
  int over_ = 0;
};

void Relay::Shared::accept(const std::shared_ptr<Shared>& self) {
  acceptor.async_accept([this, self](const error_code& error, tcp::socket socket) {
    if (!acceptor.is_open()) return;
    if (error || pairs.size() >= options.connections_max) {
      pause.expires_after(kAcceptPause);
      return pause.async_wait([this, self](const error_code& stopped) {
        if (!stopped) accept(self);
      });
    }
    const auto pair = std::make_shared<Pair>(self, std::move(socket));
    pairs.insert(pair);
    pair->begin();
    accept(self);
  });
}

void Relay::Shared::close_all() {
  error_code none;
  acceptor.close(none);
  pause.cancel();
  while (!pairs.empty()) (*pairs.begin())->close();
}

Result<std::unique_ptr<Relay>> Relay::open(Options options) {
  auto shared = std::make_shared<Shared>(std::move(options));
  const auto listening = TRY(listen_tcp(shared->options.address, shared->options.port));
  shared->port = listening.port;
  shared->acceptor.assign(listening.is_ipv6 ? tcp::v6() : tcp::v4(), listening.fd);
  return std::unique_ptr<Relay>(new Relay(std::move(shared)));
}

Relay::Relay(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {
  shared_->accept(shared_);
}

Relay::~Relay() {
  shared_->close_all();
  shared_->io.restart();
  shared_->io.poll();  // operations that were cancelled let go of their connections
}

std::uint16_t Relay::port() const { return shared_->port; }

void Relay::set_target(std::string address, std::uint16_t port) {
  error_code error;
  const auto ip = asio::ip::make_address(address, error);
  shared_->target.with(
      [&](tcp::endpoint& target) { target = error ? tcp::endpoint() : tcp::endpoint(ip, port); });
}

void Relay::run(std::stop_token stop) {
  const std::stop_callback on_stop(
      stop, [this] { asio::post(shared_->io, [shared = shared_] { shared->close_all(); }); });
  shared_->io.run();
}

}  // namespace tapeline::io
