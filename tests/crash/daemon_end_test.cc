// SPDX-License-Identifier: Apache-2.0
//
// How the daemon ends: stopped while it works for its users.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "tests/crash/ground.h"
#include "tests/crash/kill_board.h"
#include "tests/crash/observed.h"
#include "tests/support/child.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

class DaemonEnd : public Crashing, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    Crashing::SetUp();
    if (IsSkipped()) return;
    VolumeOptions options;
    options.policy = crash_policy();
    options.transport = GetParam();
    options.program = "ebbfs-crash";
    options.launcher = switch_.launcher();
    volume_.emplace(options);
    furnish(*volume_);
  }
  void TearDown() override { switch_.hold_mkdir(false); }

  KillSwitch switch_{"/tmp/ebbfs-crash-board." + std::to_string(::getpid())};
  std::optional<MountedVolume> volume_;
};

TEST_P(DaemonEnd, WaitsForTheRequestsThatItHasBegun) {
  const ChildProcess maker([&](const ChildProcess::Talk& talk) {
    talk.wait();
    talk.tell(::mkdir(volume_->at("plain/new").c_str(), 0755));
    talk.wait_for_ever();
    return 0;
  });
  switch_.hold_mkdir(true);
  maker.go_on();
  ASSERT_TRUE(eventually([&] { return switch_.held() == 1; }, 5s));
  ASSERT_EQ(::kill(volume_->daemon(), SIGTERM), 0);
  // Unmounted, it is about to end its threads. A look at the mount itself might wait for the mkdir.
  const std::string mounted = "grep -q ' " + volume_->path() + " .* fuse' /proc/self/mountinfo";
  ASSERT_TRUE(eventually([&] { return shell(mounted).exit_code == 1; }, 10s));
  EXPECT_FALSE(eventually([&] { return volume_->ended(); }, 500ms));
  switch_.hold_mkdir(false);
  EXPECT_TRUE(eventually([&] { return volume_->ended(); }, 10s));
  (void)maker.hear();
  volume_->unmount();
  volume_->mount();
  EXPECT_TRUE(exists(volume_->at("plain/new")));
  EXPECT_TRUE(volume_->json("status")["adoption"]["started"].is_null()) << "it had to count again";
  EXPECT_EQ(wrong_charges(*volume_), "");
}

INSTANTIATE_TEST_SUITE_P(Transport, DaemonEnd, testing::Values("auto", "dev"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace ebbfs::test
