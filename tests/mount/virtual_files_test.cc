// SPDX-License-Identifier: Apache-2.0
//
// The state directory of the volume and the control file, as seen through a real mount.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>

#include "fs/control_protocol.h"
#include "tests/support/each_filesystem.h"
#include "tests/support/temp_tree.h"

namespace ebbfs::test {
namespace {

class VirtualDirectory : public OnVolume {};

TEST_F(VirtualDirectory, IsNotListedButThere) {
  put(at("file"), "x");
  EXPECT_EQ(names_in(volume_->path()), std::vector<std::string>{"file"});
  EXPECT_TRUE(exists(at(".ebbfs")));
  EXPECT_TRUE(exists(at(".ebbfs/control")));
}

TEST_F(VirtualDirectory, HidesTheIndexAndTheTrash) {
  EXPECT_FALSE(exists(at(".ebbfs/index")));
  EXPECT_FALSE(exists(at(".ebbfs/trash")));
  volume_->unmount();
  EXPECT_TRUE(exists(at(".ebbfs/index")));
  volume_->mount();
  EXPECT_FALSE(exists(at(".ebbfs/index")));
}

TEST_F(VirtualDirectory, CanBeNeitherMadeNorRemovedNorReplaced) {
  const std::string path = at(".ebbfs");
  const std::string control = at(".ebbfs/control");
  put(at("file"), "x");
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  EXPECT_NE(::mkdir(path.c_str(), 0755), 0);
  EXPECT_NE(::rmdir(path.c_str()), 0);
  EXPECT_NE(::unlink(control.c_str()), 0);
  EXPECT_NE(::rename(path.c_str(), at("moved").c_str()), 0);
  EXPECT_NE(::rename(at("dir").c_str(), path.c_str()), 0);
  EXPECT_NE(::rename(at("file").c_str(), control.c_str()), 0);
  EXPECT_NE(::renameat2(AT_FDCWD, at("dir").c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE), 0);
  EXPECT_NE(::link(at("file").c_str(), path.c_str()), 0);
  EXPECT_NE(::link(control.c_str(), at("linked").c_str()), 0);
  EXPECT_NE(::symlink("x", path.c_str()), 0);
  EXPECT_LT(::open(at(".ebbfs/new").c_str(), O_CREAT | O_WRONLY, 0644), 0);
  EXPECT_NE(::mkdir(at(".ebbfs/index").c_str(), 0755), 0);
  EXPECT_EQ(errno_of(::chmod(control.c_str(), 0)), EPERM);
  EXPECT_EQ(errno_of(::chown(path.c_str(), kAlice, kAlice)), EPERM);
  EXPECT_NE(::setxattr(control.c_str(), "user.a", "a", 1, 0), 0);
  EXPECT_EQ(volume_->ebbctl("status").exit_code, 0);
}

TEST_F(VirtualDirectory, IsOnlyInTheRoot) {
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  EXPECT_FALSE(exists(at("dir/.ebbfs")));
  EXPECT_EQ(::mkdir(at("dir/.ebbfs").c_str(), 0755), 0);
}

TEST_F(VirtualDirectory, DoesNotStopAnEmptyingOfTheVolume) {
  ASSERT_EQ(shell("mkdir -p a/b && touch a/b/c && rm -rf -- * && rm -rf .[!.]*", volume_->path())
                .exit_code,
            0);
  EXPECT_EQ(volume_->ebbctl("status").exit_code, 0);
}

TEST_F(VirtualDirectory, AnswersEveryoneButLetsOnlyRootChange) {
  ASSERT_EQ(shell("mkdir -p worktrees/a", volume_->path()).exit_code, 0);
  EXPECT_EQ(as(alice(), [&] { return volume_->ebbctl("status").exit_code; }), 0);
  EXPECT_EQ(as(alice(), [&] { return volume_->ebbctl("pin worktrees/a").exit_code; }), 1);
  EXPECT_EQ(as(alice(), [&] { return volume_->ebbctl("expire worktrees/a").exit_code; }), 1);
  EXPECT_TRUE(exists(at("worktrees/a")));
  EXPECT_EQ(volume_->ebbctl("pin worktrees/a").exit_code, 0);
}

TEST_F(VirtualDirectory, NamesTheNextUnitThatExpiresToRootAndItsOwnerOnly) {
  ASSERT_EQ(shell("mkdir -p worktrees/a", volume_->path()).exit_code, 0);
  const auto named = [&] {
    const nlohmann::json status = volume_->json("status");
    return status.is_object() && status["next_expiry_path"] == "worktrees/a" ? 1 : 0;
  };
  EXPECT_EQ(named(), 1);
  EXPECT_EQ(as(alice(), named), 0);
}

TEST_F(VirtualDirectory, AnswersNonsenseWithAnErrorAndGoesOn) {
  for (const std::string& nonsense :
       {std::string("x"), std::string("{}"), std::string("{\"command\":7}"), std::string("[[[[[["),
        std::string(60000, '['), std::string("\0\xff", 2)}) {
    const UniqueFd control = opened(at(".ebbfs/control"), O_RDWR);
    std::string reply(4096, '\0');
    if (::write(control.get(), nonsense.data(), nonsense.size()) < 0) continue;
    EXPECT_GT(::pread(control.get(), reply.data(), reply.size(), 0), 0);
  }
  const UniqueFd unasked = opened(at(".ebbfs/control"), O_RDWR);
  char byte = 0;
  EXPECT_EQ(errno_of(::pread(unasked.get(), &byte, 1, 0)), EINVAL);
  EXPECT_EQ(volume_->ebbctl("status").exit_code, 0);
}

// As a container is given it with `-v …:ro`.
TEST_F(VirtualDirectory, AnswersWhereTheMountIsReadOnlyButChangesNothing) {
  ASSERT_EQ(shell("mkdir -p worktrees/a", volume_->path()).exit_code, 0);
  const TempTree elsewhere;
  const std::string bound = elsewhere.path();
  ASSERT_EQ(shell("mount --bind " + volume_->path() + " " + bound).exit_code, 0);
  const std::shared_ptr<const void> unbound(
      nullptr, [&](auto) { EXPECT_EQ(shell("umount " + bound).exit_code, 0); });
  ASSERT_EQ(shell("mount -o remount,bind,ro " + bound).exit_code, 0);
  const auto ebbctl = [&](const std::string& words) {
    return shell("$EBBFS_BIN_DIR/ebbctl " + words, bound);
  };
  for (const char* const question :
       {"status", "units --json", "locks", "show worktrees/a", "quota list", "trash list", "events",
        "explain", "policy show", "check", "expire --dry-run worktrees/a"}) {
    const Ran ran = ebbctl(question);
    EXPECT_EQ(ran.exit_code, 0) << question << ": " << ran.out;
  }
  for (const char* const change :
       {"pin worktrees/a", "expire worktrees/a", "quota set unit:worktrees/a --bytes 1M",
        "policy reload", "resume", "check --repair", "trash empty"}) {
    const Ran ran = ebbctl(change);
    EXPECT_EQ(ran.exit_code, 1) << change << ": " << ran.out;
    EXPECT_NE(ran.out.find("the mount is read-only here"), std::string::npos) << ran.out;
  }
  EXPECT_EQ(volume_->ebbctl("pin worktrees/a").exit_code, 0);
}

TEST_F(VirtualDirectory, TakesNoOtherIoctl) {
  put(at("file"), "x");
  const std::string question = R"({"version": 1, "command": "status"})";
  const auto call = [](const UniqueFd& fd, unsigned command, const std::string& text) {
    return errno_of(::ioctl(fd.get(), command, text.data()));
  };
  const UniqueFd file = opened(at("file"), O_RDONLY);
  EXPECT_EQ(call(file, control_ioctl(question.size()), question), ENOTTY);
  const UniqueFd directory = opened(at(".ebbfs"), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(call(directory, control_ioctl(question.size()), question), ENOTTY);
  const UniqueFd control = opened(at(".ebbfs/control"), O_RDONLY);
  EXPECT_EQ(call(control, _IOW(0xEB, 2, int), question), ENOTTY);
  EXPECT_EQ(call(control, _IOR(0xEB, 1, int), question), ENOTTY);
  EXPECT_EQ(call(control, control_ioctl(0), question), ENOTTY);
  EXPECT_EQ(call(control, control_ioctl(question.size()), question), 0);
  EXPECT_EQ(call(control, control_ioctl(question.size()), question), EBUSY);
}

TEST_F(VirtualDirectory, IsReachedFromBelowAndByPath) {
  ASSERT_EQ(shell("mkdir -p worktrees/a/b", volume_->path()).exit_code, 0);
  const Ran ran = shell("$EBBFS_BIN_DIR/ebbctl show . --json", at("worktrees/a/b"));
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_EQ(nlohmann::json::parse(ran.out, nullptr, false)["unit"]["path"], "worktrees/a");
}

TEST_F(VirtualDirectory, ShowTellsWhatIsNotManagedFromWhatIsNotThere) {
  ASSERT_EQ(::mkdir(at("plain").c_str(), 0755), 0);
  EXPECT_EQ(volume_->ebbctl("show " + at("plain")).exit_code, 0);
  const Ran ran = volume_->ebbctl("show " + at("plain/nothing"));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.out.find("plain/nothing does not exist"), std::string::npos) << ran.out;
}

}  // namespace
}  // namespace ebbfs::test
