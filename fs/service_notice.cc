// SPDX-License-Identifier: Apache-2.0
#include "fs/service_notice.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>

#include "fs/unique_fd.h"

namespace ebbfs {

void notify_service(ServiceState state, std::string_view status) {
  const char* const name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || (*name != '/' && *name != '@')) return;
  sockaddr_un address{};
  const std::size_t length = std::strlen(name);
  if (length >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name, length);
  // A name in the abstract namespace; what ends it is its length.
  if (*name == '@') address.sun_path[0] = '\0';

  std::string message = state == ServiceState::ready ? "READY=1\nSTATUS=" : "STOPPING=1\nSTATUS=";
  // A line break would begin another assignment.
  std::ranges::replace_copy_if(
      status, std::back_inserter(message),
      [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, '?');
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  (void)::sendto(socket.get(), message.data(), message.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), size);
}

}  // namespace ebbfs
