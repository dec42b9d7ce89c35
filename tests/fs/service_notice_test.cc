// SPDX-License-Identifier: Apache-2.0
#include "fs/service_notice.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "fs/unique_fd.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

// As the service manager's; `name` as in $NOTIFY_SOCKET.
UniqueFd listen_at(const std::string& name) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name.front() == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size), 0) << name;
  return socket;
}

// The datagram that waits there, or "nothing".
std::string heard(const UniqueFd& socket) {
  std::array<char, 512> text{};
  const ssize_t size = ::recv(socket.get(), text.data(), text.size(), 0);
  return size < 0 ? "nothing" : std::string(text.data(), static_cast<std::size_t>(size));
}

class ServiceNotice : public testing::Test {
 protected:
  void TearDown() override { ::unsetenv("NOTIFY_SOCKET"); }
  static void name_socket(const std::string& name) { ::setenv("NOTIFY_SOCKET", name.c_str(), 1); }

  TempTree tree_;
};

TEST_F(ServiceNotice, IsOneDatagramToASocketWithAPath) {
  const std::string name = tree_.at("notify");
  const UniqueFd socket = listen_at(name);
  name_socket(name);
  notify_service(ServiceState::ready, "serving /mnt/ebs");
  EXPECT_EQ(heard(socket), "READY=1\nSTATUS=serving /mnt/ebs");
  EXPECT_EQ(heard(socket), "nothing");
}

TEST_F(ServiceNotice, ReachesASocketInTheAbstractNamespace) {
  const std::string name = "@" + tree_.at("notify").string();
  const UniqueFd socket = listen_at(name);
  name_socket(name);
  notify_service(ServiceState::stopping, "unmounting");
  EXPECT_EQ(heard(socket), "STOPPING=1\nSTATUS=unmounting");
}

// A path on the volume is anybody's choice, and must not become an assignment of its own.
TEST_F(ServiceNotice, HoldsItsStatusToOneLine) {
  const std::string name = tree_.at("notify");
  const UniqueFd socket = listen_at(name);
  name_socket(name);
  notify_service(ServiceState::ready, "serving /mnt/a\nMAINPID=1\x1b");
  EXPECT_EQ(heard(socket), "READY=1\nSTATUS=serving /mnt/a?MAINPID=1?");
}

TEST_F(ServiceNotice, WithoutASocketThatListensDoesNothing) {
  const std::string name = tree_.at("notify");
  const UniqueFd socket = listen_at(name);
  notify_service(ServiceState::ready, "no name");
  for (const std::string& other :
       {std::string("relative"), name + "-not-there", "/" + std::string(200, 'x')}) {
    name_socket(other);
    notify_service(ServiceState::ready, "another name");
  }
  EXPECT_EQ(heard(socket), "nothing");
}

}  // namespace
}  // namespace ebbfs
