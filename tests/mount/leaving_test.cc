// SPDX-License-Identifier: Apache-2.0
//
// The end of a mount and of a volume: a signal while somebody is inside, a start right after, a
// daemon that dies under its users, and `ebbfs --forget`.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class Leaving : public OnVolume {
 protected:
  [[nodiscard]] Ran forget(const std::string& arguments = "") const {
    return shell("$EBBFS_BIN_DIR/ebbfs --forget " + arguments + " " + volume_->path() +
                 " </dev/null");
  }
  [[nodiscard]] std::string log() const { return shell("cat " + volume_->path() + "/../log").out; }
  // Somebody who sits in the volume with a file open.
  [[nodiscard]] std::unique_ptr<ChildProcess> somebody_inside() const {
    const std::string path = volume_->path();
    auto child = std::make_unique<ChildProcess>([path](const ChildProcess::Talk& talk) {
      if (::chdir(path.c_str()) != 0) return 1;
      const UniqueFd file(::open("held", O_RDWR | O_CREAT, 0644));
      talk.tell(1);
      talk.wait();
      const bool refused = ::write(file.get(), "x", 1) < 0 &&
                           (errno == ENOTCONN || errno == EIO || errno == ECONNABORTED);
      talk.tell(refused ? 1 : 2);
      talk.wait_for_ever();
    });
    child->hear();
    return child;
  }
};

TEST_F(Leaving, BySignalWhileSomebodyIsInsideNamesThemAndIsClean) {
  put(at("file"), "content");
  const auto inside = somebody_inside();
  volume_->unmount();  // SIGTERM, and the daemon ends with 0
  EXPECT_THAT(log(), HasSubstr("held_by=\"pid " + std::to_string(inside->pid()) + " ("));
  EXPECT_THAT(log(), HasSubstr("event=unmounted dirty_units=0"));
  volume_->mount();
  EXPECT_EQ(get(at("file")), "content");
  EXPECT_FALSE(volume_->json("status")["provisional"].get<bool>());
  inside->go_on();
  EXPECT_EQ(inside->hear(), 1) << "what was open stays dead";
}

TEST_F(Leaving, IsFollowedAtOnceByAnotherStart) {
  for (const int number : {SIGTERM, SIGINT}) {
    volume_->unmount();
    ASSERT_EQ(shell("$EBBFS_BIN_DIR/ebbfs " + volume_->path()).exit_code, 0);
    put(at("file"), std::to_string(number));
    const pid_t daemon = volume_->json("status")["pid"];
    ASSERT_EQ(::kill(daemon, number), 0);
    ASSERT_TRUE(
        eventually([&] { return !exists(at("file")) || !exists(at(".ebbfs/control")); }, 20s));
    // The old one may be closing its index still.
    const Ran again = shell("$EBBFS_BIN_DIR/ebbfs " + volume_->path());
    ASSERT_EQ(again.exit_code, 0) << again.out;
    EXPECT_EQ(get(at("file")), std::to_string(number));
    const pid_t second = volume_->json("status")["pid"];
    EXPECT_NE(second, daemon);
    ASSERT_EQ(shell("umount " + volume_->path()).exit_code, 0);
    ASSERT_TRUE(eventually([&] { return ::kill(second, 0) != 0; }, 20s));
    volume_->mount();
  }
}

TEST_F(Leaving, OfADaemonThatDiesLeavesItsUsersAnErrorAndTheNextStartClearsIt) {
  put(at("file"), "content");
  const auto inside = somebody_inside();
  volume_->leave_dead_mount();
  volume_->mount();
  EXPECT_EQ(get(at("file")), "content");
  inside->go_on();
  EXPECT_EQ(inside->hear(), 1);
}

TEST_F(Leaving, ForGoodRemovesTheStateDirectoryAndNothingElse) {
  ASSERT_EQ(shell("mkdir -p worktrees/w plain && echo a >worktrees/w/f && echo b >plain/f",
                  volume_->path())
                .exit_code,
            0);
  volume_->unmount();
  const Ran ran = forget("--yes");
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_FALSE(exists(at(".ebbfs")));
  EXPECT_EQ(get(at("worktrees/w/f")), "a\n");
  EXPECT_EQ(get(at("plain/f")), "b\n");
  EXPECT_EQ(forget("--yes").exit_code, 1) << "nothing is there to forget";
  volume_->mount();
}

TEST_F(Leaving, ForGoodTellsWhatIsInTheTrashAndDoesNothingUnasked) {
  ASSERT_EQ(shell("mkdir -p worktrees/w && head -c 5000 /dev/zero >worktrees/w/f", volume_->path())
                .exit_code,
            0);
  ASSERT_EQ(volume_->ebbctl("expire worktrees/w").exit_code, 0);
  volume_->unmount();
  const Ran ran = forget();
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("worktrees/w"));
  EXPECT_THAT(ran.out, HasSubstr("8KiB"));
  EXPECT_LT(ran.out.find("worktrees/w"), ran.out.find("nothing was removed; add --yes to do it"));
  EXPECT_TRUE(exists(at(".ebbfs/trash/1/f")));
  volume_->mount();
  EXPECT_EQ(volume_->json("status")["trash"]["units"], 1);
}

TEST_F(Leaving, ForGoodIsRefusedWhileMounted) {
  const Ran ran = forget("--yes");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("is mounted; umount it first"));
  EXPECT_EQ(volume_->ebbctl("status").exit_code, 0);
}

TEST_F(Leaving, ForGoodIsRefusedWhileServedElsewhere) {
  volume_->unmount();
  const std::string other = volume_->path() + "-other";
  ASSERT_EQ(::mkdir(other.c_str(), 0755), 0);
  ASSERT_EQ(shell("$EBBFS_BIN_DIR/ebbfs --backing " + volume_->path() + " " + other).exit_code, 0);
  const Ran ran = forget("--yes");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("mounted elsewhere"));
  EXPECT_TRUE(exists(at(".ebbfs/index")));
  const Ran status = shell("$EBBFS_BIN_DIR/ebbctl status --json --mount " + other);
  const pid_t daemon = nlohmann::json::parse(status.out)["pid"];
  ASSERT_EQ(shell("umount " + other).exit_code, 0);
  ASSERT_TRUE(eventually([&] { return ::kill(daemon, 0) != 0; }, 20s));
  volume_->mount();
}

}  // namespace
}  // namespace ebbfs::test
