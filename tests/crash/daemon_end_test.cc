// SPDX-License-Identifier: Apache-2.0
//
// How the daemon ends: killed while it waits in the kernel for its own users, whom the process
// beside it frees, and stopped while it works for them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/ground.h"
#include "tests/crash/kill_board.h"
#include "tests/crash/observed.h"
#include "tests/support/child.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;

std::string name_of_process(pid_t process) {
  std::string name;
  std::ifstream in("/proc/" + std::to_string(process) + "/comm");
  std::getline(in, name);
  return name;
}

class DaemonEnd : public Crashing, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    Crashing::SetUp();
    if (IsSkipped()) return;
    VolumeOptions options = killable(switch_, crash_policy({.short_ttl = "1s"}));
    options.transport = GetParam();
    volume_.emplace(options);
    furnish(*volume_);
  }
  void TearDown() override { switch_.hold(false); }
  [[nodiscard]] pid_t guardian() const {
    const std::string daemon = std::to_string(volume_->daemon());
    std::ifstream children("/proc/" + daemon + "/task/" + daemon + "/children");
    for (pid_t child = 0; children >> child;) {
      if (name_of_process(child) == "ebbfs-guardian") return child;
    }
    return 0;
  }
  [[nodiscard]] static bool is_gone(pid_t process) {
    return eventually([process] { return ::kill(process, 0) != 0; }, 5s);
  }
  int sync_a_file() {
    const int fd = ::open(volume_->at("plain/f").c_str(), O_WRONLY);
    return ::fsync(fd);
  }
  // Stops the daemon while what `request` asks is being done, which goes on for a while.
  void stop_while(const std::function<int()>& request) {
    const ChildProcess asking([&](const ChildProcess::Talk& talk) {
      talk.wait();
      talk.tell(request());
      talk.wait_for_ever();
      return 0;
    });
    switch_.hold(true);
    asking.go_on();
    ASSERT_TRUE(eventually([&] { return switch_.held() == 1; }, 5s));
    ASSERT_EQ(::kill(volume_->daemon(), SIGTERM), 0);
    // Unmounted, it is about to end its threads. A look at the mount itself might wait.
    const std::string mounted = "grep -q ' " + volume_->path() + " .* fuse' /proc/self/mountinfo";
    ASSERT_TRUE(eventually([&] { return shell(mounted).exit_code == 1; }, 10s));
    EXPECT_FALSE(eventually([&] { return volume_->ended(); }, 500ms));
    switch_.hold(false);
    EXPECT_TRUE(eventually([&] { return volume_->ended(); }, 10s));
    (void)asking.hear();
    expect_it_ended_well();
  }
  void expect_it_ended_well() {
    volume_->unmount();  // fails the test where it has crashed
    volume_->mount();
    EXPECT_TRUE(volume_->json("status")["adoption"]["started"].is_null()) << "it counted again";
    EXPECT_EQ(wrong_charges(*volume_), "");
  }
  [[nodiscard]] bool daemon_waits_in_the_kernel() const {
    const std::string states = "/proc/" + std::to_string(volume_->daemon()) + "/task/*/status";
    return shell("grep -q '^State:.D' " + states).exit_code == 0;
  }

  KillSwitch switch_{"/tmp/ebbfs-crash-board." + std::to_string(::getpid())};
  std::optional<MountedVolume> volume_;
};

TEST_P(DaemonEnd, FreesUsersWhenItIsKilledWhileItWaitsForThem) {
  const ChildProcess maker([&](const ChildProcess::Talk& talk) {
    talk.wait();
    talk.tell(errno_of(::mkdir(volume_->at("short/new").c_str(), 0755)));
    talk.wait_for_ever();
    return 0;
  });
  // The request holds the directory, and the removal of a unit that expires waits for that.
  run(*volume_, "mkdir -p short/old");
  switch_.hold(true);
  maker.go_on();
  ASSERT_TRUE(eventually([&] { return switch_.held() == 1; }, 5s));
  ASSERT_TRUE(eventually([&] { return daemon_waits_in_the_kernel(); }, 10s));
  volume_->leave_dead_mount();
  EXPECT_EQ(volume_->hung(), 0);
  EXPECT_THAT(maker.hear(), AnyOf(ENOTCONN, ECONNABORTED, ECANCELED));
  EXPECT_THAT(errno_of(::open(volume_->at("units/b/f").c_str(), O_RDONLY)),
              AnyOf(ENOTCONN, ECONNABORTED, ECANCELED));
  switch_.hold(false);
  volume_->mount();
  EXPECT_EQ(get(volume_->at("units/b/f")), "b\n");
}

TEST_P(DaemonEnd, IsThatOfTheGuardian) {
  const pid_t first = guardian();
  ASSERT_NE(first, 0);
  volume_->unmount();
  EXPECT_TRUE(is_gone(first));
  volume_->mount();
  const pid_t second = guardian();
  ASSERT_NE(second, 0);
  volume_->leave_dead_mount();
  EXPECT_TRUE(is_gone(second));
  volume_->mount();
}

TEST_P(DaemonEnd, IsNotSeenInSignalsToTheGuardian) {
  const pid_t guardian = this->guardian();
  ASSERT_NE(guardian, 0);
  const UniqueFd held(::open(volume_->at("units/b/f").c_str(), O_RDONLY));
  // As a service manager does that stops all processes of a service.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    ASSERT_EQ(::kill(guardian, number), 0);
  }
  char byte = 0;
  EXPECT_EQ(::pread(held.get(), &byte, 1, 0), 1);
  EXPECT_EQ(get(volume_->at("units/b/f")), "b\n");
  EXPECT_EQ(::kill(guardian, 0), 0);
}

TEST_P(DaemonEnd, IsNotPutOffByWhatTheGuardianHolds) {
  const Ran ran = shell("readlink /proc/" + std::to_string(guardian()) + "/{cwd,fd/*}");
  EXPECT_THAT(ran.out, testing::Not(testing::HasSubstr(volume_->path() + "/")));
  EXPECT_THAT(ran.out, testing::Not(testing::HasSubstr(volume_->path() + "\n")));
  EXPECT_THAT(ran.out, testing::StartsWith("/\n"));
}

TEST_P(DaemonEnd, WaitsForTheRequestsThatItHasBegun) {
  stop_while([&] { return ::mkdir(volume_->at("plain/new").c_str(), 0755); });
  EXPECT_TRUE(exists(volume_->at("plain/new")));
}

// Which is not at work in one of the threads that libfuse ends.
TEST_P(DaemonEnd, WaitsForARequestThatWasPutOff) {
  stop_while([&] { return sync_a_file(); });
}

TEST_P(DaemonEnd, WaitsForARequestThatWasPutOffWhenSomebodyElseEndsTheConnection) {
  const ChildProcess syncing([&](const ChildProcess::Talk& talk) {
    talk.wait();
    talk.tell(errno_of(sync_a_file()));
    talk.wait_for_ever();
    return 0;
  });
  switch_.hold(true);
  syncing.go_on();
  ASSERT_TRUE(eventually([&] { return switch_.held() == 1; }, 5s));
  ASSERT_EQ(::umount2(volume_->path().c_str(), MNT_FORCE | MNT_DETACH), 0);
  EXPECT_THAT(syncing.hear(), AnyOf(ENOTCONN, ECONNABORTED, ECANCELED));
  EXPECT_FALSE(eventually([&] { return volume_->ended(); }, 500ms));
  switch_.hold(false);
  EXPECT_TRUE(eventually([&] { return volume_->ended(); }, 10s));
  expect_it_ended_well();
}

INSTANTIATE_TEST_SUITE_P(Transport, DaemonEnd, testing::Values("auto", "dev"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace ebbfs::test
