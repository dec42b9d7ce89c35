// SPDX-License-Identifier: Apache-2.0
//
// The state directory of the volume and the control file, as seen through a real mount.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/each_filesystem.h"

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
