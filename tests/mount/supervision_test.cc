// SPDX-License-Identifier: Apache-2.0
//
// The daemon under a service manager: what it says, and when.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>

#include "fs/capabilities.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::test {
namespace {

// A socket for $NOTIFY_SOCKET. Abstract, so that nothing has to be removed.
class Supervisor {
 public:
  Supervisor()
      : name_("ebbfs-test-" + std::to_string(::getpid())),
        socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data(), name_.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name_.size());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  }

  [[nodiscard]] std::string name() const { return "@" + name_; }
  // The next notice, or what is missing after `patience_ms`.
  [[nodiscard]] std::string heard(int patience_ms = 10'000) const {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (::poll(&ready, 1, patience_ms) != 1) return "nothing";
    std::array<char, 512> text{};
    const ssize_t size = ::recv(socket_.get(), text.data(), text.size(), 0);
    return {text.data(), static_cast<std::size_t>(size)};
  }

 private:
  const std::string name_;
  const UniqueFd socket_;
};

TEST(Supervision, HearsThatItServesAndThatItStops) {
  if (const auto why = MountedVolume::cannot_run("tmpfs")) GTEST_SKIP() << *why;
  const Supervisor supervisor;
  MountedVolume volume({.launcher = "env NOTIFY_SOCKET=" + supervisor.name()});
  EXPECT_EQ(supervisor.heard(), "READY=1\nSTATUS=serving " + volume.path() + " from " +
                                    volume.path() + ", policy: built-in default");
  volume.unmount();
  EXPECT_EQ(supervisor.heard(), "STOPPING=1\nSTATUS=unmounting " + volume.path());
  EXPECT_EQ(supervisor.heard(), "STOPPING=1\nSTATUS=storing the index");
}

// It may run inside of a service that is not it, a shell or a container's init.
TEST(Supervision, IsNotToldOfADaemonInTheBackground) {
  if (const auto why = MountedVolume::cannot_run("tmpfs")) GTEST_SKIP() << *why;
  const Supervisor supervisor;
  MountedVolume volume({.bare = true});
  const Ran ran =
      shell("NOTIFY_SOCKET=" + supervisor.name() + " $EBBFS_BIN_DIR/ebbfs " + volume.path());
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  const pid_t daemon = volume.json("status")["pid"];
  EXPECT_EQ(shell("umount " + volume.path()).exit_code, 0);
  EXPECT_TRUE(eventually([&] { return ::kill(daemon, 0) != 0; }, std::chrono::seconds(20)));
  EXPECT_EQ(supervisor.heard(0), "nothing");
}

// A line of /proc/PID/status that holds a set of capabilities; nothing when there is none.
std::optional<std::uint64_t> capabilities(const std::string& process, const std::string& line) {
  std::ifstream status("/proc/" + process + "/status");
  for (std::string text; std::getline(status, text);) {
    if (text.starts_with(line + ":")) return std::stoull(text.substr(line.size() + 1), nullptr, 16);
  }
  return std::nullopt;
}

std::uint64_t set_of(std::span<const int> capabilities) {
  std::uint64_t set = 0;
  for (const int one : capabilities) set |= std::uint64_t{1} << static_cast<unsigned>(one);
  return set;
}

TEST(Supervision, TheDaemonHoldsTheCapabilitiesThatItNamesAndNoOthers) {
  if (const auto why = MountedVolume::cannot_run("tmpfs")) GTEST_SKIP() << *why;
  const std::uint64_t named = set_of(kDaemonCapabilities);
  const std::uint64_t own = capabilities("self", "CapPrm").value();
  const MountedVolume volume;
  const std::string daemon = std::to_string(volume.daemon());
  EXPECT_EQ(capabilities(daemon, "CapBnd"), named & capabilities("self", "CapBnd").value());
  EXPECT_EQ(capabilities(daemon, "CapPrm"), named & own);
  EXPECT_EQ(capabilities(daemon, "CapEff"), named & own);
  EXPECT_EQ(capabilities(daemon, "CapInh"), 0U);
  EXPECT_EQ(capabilities(daemon, "CapAmb"), 0U);
  // Each of its threads, as they are made before and after.
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + daemon + "/task")) {
    const std::string name = daemon + "/task/" + thread.path().filename().string();
    EXPECT_EQ(capabilities(name, "CapPrm"), named & own) << name;
  }
}

TEST(Supervision, TheGuardianHoldsNoCapabilities) {
  if (const auto why = MountedVolume::cannot_run("tmpfs")) GTEST_SKIP() << *why;
  const MountedVolume volume;
  const std::string daemon = std::to_string(volume.daemon());
  std::ifstream children("/proc/" + daemon + "/task/" + daemon + "/children");
  std::string guardian;
  ASSERT_TRUE(children >> guardian);
  // Once it has opened its switch.
  EXPECT_TRUE(
      eventually([&] { return capabilities(guardian, "CapPrm") == 0U; }, std::chrono::seconds(10)));
  EXPECT_EQ(capabilities(guardian, "CapEff"), 0U);
}

TEST(Supervision, AMetricsPortMayBeALowOne) {
  if (const auto why = MountedVolume::cannot_run("tmpfs")) GTEST_SKIP() << *why;
  const MountedVolume volume({.arguments = {"--metrics", "127.0.0.1:1"}});
  const std::uint64_t held = capabilities(std::to_string(volume.daemon()), "CapPrm").value();
  const std::uint64_t low_ports = set_of(std::array{kMetricsCapability});
  EXPECT_EQ(held & low_ports, low_ports & capabilities("self", "CapPrm").value());
}

}  // namespace
}  // namespace ebbfs::test
