#include "io/listening.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace tapeline::io {

Error listen_error(const std::string& where, int number) {
  if (number == EADDRINUSE) {
    return Error{ErrorCode::already_exists, fmt::format("another program listens on '{}'", where),
                 "Stop it, or choose another port."};
  }
  return Error{
      ErrorCode::unavailable,
      fmt::format("listening on '{}' failed: {}", where, std::generic_category().message(number)),
      ""};
}

Result<Listening> listen_tcp(const std::string& address, std::uint16_t port) {
  sockaddr_in four{};
  sockaddr_in6 six{};
  const bool is_four = inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1;
  if (!is_four && inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) != 1) {
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no IP address", address),
                 "Give an address such as 127.0.0.1 or ::1."};
  }
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  auto* const where =
      is_four ? reinterpret_cast<sockaddr*>(&four) : reinterpret_cast<sockaddr*>(&six);
  socklen_t size = is_four ? sizeof four : sizeof six;

  const int fd = ::socket(where->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd, where, size) != 0 || ::listen(fd, SOMAXCONN) != 0 ||
      ::getsockname(fd, where, &size) != 0) {
    const int number = errno;
    if (fd >= 0) ::close(fd);
    return listen_error(fmt::format("{}:{}", address, port), number);
  }
  return Listening{fd, ntohs(is_four ? four.sin_port : six.sin6_port), !is_four};
}

}  // namespace tapeline::io
