// SPDX-License-Identifier: Apache-2.0
//
// Mounting in place: what is refused, cleared and left behind.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class Mounting : public OnVolume {
 protected:
  static Ran ebbfs(const std::string& arguments, const std::string& directory = "/") {
    return shell("$EBBFS_BIN_DIR/ebbfs " + arguments, directory);
  }
  [[nodiscard]] bool is_fuse() const {
    struct statfs status{};
    return ::statfs(volume_->path().c_str(), &status) == 0 && status.f_type == 0x65735546;
  }
  [[nodiscard]] bool answers() const {
    struct statfs status{};
    return ::statfs(volume_->path().c_str(), &status) == 0;
  }
  // Unmounts the daemon in the background that serves `mountpoint` and waits for its end.
  [[nodiscard]] static bool umount(const std::string& mountpoint) {
    const Ran status = shell("$EBBFS_BIN_DIR/ebbctl status --json --mount " + mountpoint);
    const pid_t daemon = nlohmann::json::parse(status.out)["pid"];
    return shell("umount " + mountpoint).exit_code == 0 &&
           eventually([&] { return ::kill(daemon, 0) != 0; }, 20s);
  }
};

TEST_F(Mounting, InTheBackgroundReturnsWhenItAnswersAndUmountEndsIt) {
  put(at("file"), "content");
  volume_->unmount();
  EXPECT_FALSE(is_fuse());
  const Ran ran = ebbfs(volume_->path());
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_TRUE(is_fuse());
  EXPECT_EQ(get(at("file")), "content");
  EXPECT_TRUE(umount(volume_->path()));
  EXPECT_FALSE(is_fuse());
  volume_->mount();
}

TEST_F(Mounting, ASecondTimeIsRefusedAndHarmless) {
  const Ran ran = ebbfs(volume_->path());
  EXPECT_EQ(ran.exit_code, 1) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("ebbfs: "));
  EXPECT_EQ(std::ranges::count(ran.out, '\n'), 1) << ran.out;
  EXPECT_EQ(volume_->ebbctl("status").exit_code, 0);
}

TEST_F(Mounting, OfAVolumeThatIsServedElsewhereIsRefused) {
  volume_->unmount();
  const std::string other = volume_->path() + "-other";
  ASSERT_EQ(::mkdir(other.c_str(), 0755), 0);
  const Ran first = ebbfs("--backing " + volume_->path() + " " + other);
  ASSERT_EQ(first.exit_code, 0) << first.out;
  put(other + "/file", "x");
  EXPECT_TRUE(exists(at("file")));
  const Ran second = ebbfs(volume_->path());
  EXPECT_EQ(second.exit_code, 1) << second.out;
  EXPECT_TRUE(umount(other));
  volume_->mount();
  EXPECT_EQ(get(at("file")), "x");
}

TEST_F(Mounting, OfAVolumeThatAContainerStillHoldsNamesTheContainer) {
  const ChildProcess container([&](const ChildProcess::Talk& talk) {
    talk.tell(::unshare(CLONE_NEWNS));
    talk.wait_for_ever();
    return 0;
  });
  ASSERT_EQ(container.hear(), 0);
  ASSERT_EQ(::umount2(volume_->path().c_str(), 0), 0);
  const Ran ran = ebbfs(volume_->path());
  EXPECT_EQ(ran.exit_code, 1) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("pid " + std::to_string(volume_->daemon()) + ")"));
  EXPECT_THAT(ran.out, HasSubstr("pid " + std::to_string(container.pid()) + " ("));
  EXPECT_THAT(ran.out, HasSubstr("kill " + std::to_string(volume_->daemon())));
  const Ran cure =
      shell("nsenter -t " + std::to_string(container.pid()) + " -m umount " + volume_->path());
  EXPECT_EQ(cure.exit_code, 0) << cure.out;
  EXPECT_TRUE(eventually([&] { return volume_->ended(); }, 20s));
  volume_->unmount();
  volume_->mount();
}

TEST_F(Mounting, OfAnotherEbbfsIsRefusedWithTheReason) {
  const std::string other = volume_->path() + "-other";
  ASSERT_EQ(::mkdir(other.c_str(), 0755), 0);
  const Ran ran = ebbfs("--backing " + volume_->path() + " " + other);
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("it lies on a FUSE mount"));
  EXPECT_EQ(volume_->ebbctl("status").exit_code, 0);
}

TEST_F(Mounting, ClearsADeadMountFirst) {
  put(at("file"), "content");
  volume_->leave_dead_mount();
  EXPECT_FALSE(answers());
  volume_->mount();
  EXPECT_EQ(get(at("file")), "content");
  volume_->unmount();
  EXPECT_FALSE(is_fuse());
  EXPECT_EQ(get(at("file")), "content");
  volume_->mount();
}

// The kernel answers for attributes that it has seen long after the daemon has gone.
TEST_F(Mounting, ClearsADeadMountWhoseRootTheKernelStillKnows) {
  (void)status_of(volume_->path());
  volume_->leave_dead_mount();
  EXPECT_EQ(ebbfs(volume_->path()).exit_code, 0);
  EXPECT_EQ(volume_->ebbctl("status").exit_code, 0);
  EXPECT_TRUE(umount(volume_->path()));
  EXPECT_FALSE(is_fuse());
  volume_->mount();
}

TEST_F(Mounting, WithABrokenPolicyIsRefusedWithItsPlace) {
  volume_->unmount();
  const std::string policy = volume_->path() + ".toml";
  std::ofstream(policy) << "mode = \"enforce\"\n[volume]\n  hihg = \"85%\"\n";
  const Ran ran = ebbfs("--policy " + policy + " " + volume_->path());
  EXPECT_EQ(ran.exit_code, 1) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr(policy + ":3:3: "));
  EXPECT_THAT(ran.out, HasSubstr("hihg"));
  EXPECT_FALSE(is_fuse());
  volume_->mount();
}

TEST_F(Mounting, WithAMissingPolicyOrDirectoryIsRefused) {
  volume_->unmount();
  EXPECT_EQ(ebbfs("--policy /nowhere.toml " + volume_->path()).exit_code, 1);
  EXPECT_EQ(ebbfs(volume_->path() + "/nowhere").exit_code, 1);
  EXPECT_EQ(ebbfs("").exit_code, 2);
  EXPECT_EQ(ebbfs("--no-such-option " + volume_->path()).exit_code, 2);
  volume_->mount();
}

TEST_F(Mounting, OverAFileOrWithoutTheUsersCredentialsIsRefused) {
  volume_->unmount();
  put(at("file"), "x");
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  const Ran over = ebbfs("--backing " + at("dir") + " " + at("file"));
  EXPECT_EQ(over.exit_code, 1) << over.out;
  EXPECT_NE(over.out.find("Not a directory"), std::string::npos) << over.out;
  for (const char* const capability : {"setuid", "setgid"}) {
    const Ran bare = shell(std::string("setpriv --bounding-set -") + capability +
                           " $EBBFS_BIN_DIR/ebbfs " + volume_->path());
    EXPECT_EQ(bare.exit_code, 1) << bare.out;
    EXPECT_NE(bare.out.find("cannot prepare credentials"), std::string::npos) << bare.out;
  }
  volume_->mount();
}

TEST_F(Mounting, TakesRelativePaths) {
  volume_->unmount();
  const std::string scratch = volume_->path().substr(0, volume_->path().rfind('/'));
  std::ofstream(scratch + "/relative.toml") << "mode = \"observe\"\n";
  const Ran ran = ebbfs("--policy relative.toml volume", scratch);
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_EQ(volume_->json("status")["mode"], "observe");
  EXPECT_TRUE(umount(volume_->path()));
  volume_->mount();
}

TEST_F(Mounting, HonoursOptionsOfMount) {
  volume_->unmount();
  const Ran ran = ebbfs("-o nosuid,nodev,noexec " + volume_->path());
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  const std::string mounts = shell("grep ' " + volume_->path() + " fuse' /proc/mounts").out;
  EXPECT_THAT(mounts, HasSubstr("nosuid"));
  EXPECT_THAT(mounts, HasSubstr("noexec"));
  EXPECT_EQ(shell("cp /bin/true . && ./true", volume_->path()).exit_code, 126);
  EXPECT_TRUE(umount(volume_->path()));
  volume_->mount();
}

TEST_F(Mounting, APolicyThatIsReloadedTakesEffectUnlessBroken) {
  volume_->unmount();
  const std::string policy = volume_->path() + ".toml";
  std::ofstream(policy) << "mode = \"enforce\"\n";
  ASSERT_EQ(ebbfs("--policy " + policy + " " + volume_->path()).exit_code, 0);
  std::ofstream(policy) << "mode = \"observe\"\n";
  EXPECT_EQ(volume_->ebbctl("policy reload").exit_code, 0);
  EXPECT_EQ(volume_->json("status")["mode"], "observe");
  std::ofstream(policy) << "mode = \"wrong\"\n";
  const Ran broken = volume_->ebbctl("policy reload");
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_THAT(broken.out, HasSubstr(policy + ":1:"));
  EXPECT_EQ(volume_->json("status")["mode"], "observe");
  EXPECT_TRUE(umount(volume_->path()));
  volume_->mount();
}

TEST_F(Mounting, ContentThatWasThereIsAdopted) {
  volume_->unmount();
  ASSERT_EQ(shell("rm -rf .ebbfs && mkdir -p worktrees/old/sub plain && "
                  "head -c 10000 /dev/zero >worktrees/old/sub/file && ln -s x plain/link",
                  volume_->path())
                .exit_code,
            0);
  volume_->mount();
  EXPECT_TRUE(volume_->counts_right());
  const auto units = volume_->units();
  ASSERT_EQ(units.size(), 1U);
  EXPECT_EQ(units[0]["path"], "worktrees/old");
  EXPECT_EQ(units[0]["bytes"], 12288);
  EXPECT_EQ(units[0]["inodes"], 3);
}

}  // namespace
}  // namespace ebbfs::test
