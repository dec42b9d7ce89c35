// SPDX-License-Identifier: Apache-2.0
#include "tools/mountinfo.h"

#include <gtest/gtest.h>

namespace ebbfs {
namespace {

constexpr std::string_view kMountinfo =
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
    "30 22 0:41 / /mnt/ebs rw,nosuid,nodev shared:7 master:2 - fuse.ebbfs ebbfs rw,user_id=0\n"
    "31 22 0:42 / /mnt/with\\040space\\134 rw - fuse.ebbfs ebbfs rw\n"
    "32 22 0:41 /worktrees/a /scratch rw - fuse.ebbfs ebbfs rw\n"
    "33 22 0:43 / /home/me/sshfs rw - fuse.sshfs host: rw\n"
    "34 22 0:44 / /covered rw - fuse.ebbfs ebbfs rw\n"
    "35 34 0:45 / /covered rw - tmpfs tmpfs rw\n"
    "36 22 0:46 / /again rw - fuse.ebbfs old rw\n"
    "37 36 0:47 / /again rw - fuse.ebbfs new rw\n"
    "nonsense\n"
    "38 22 0:48 / /short -\n";

TEST(Mountinfo, ListsTheEbbfsThatAreNotCovered) {
  const std::vector<MountEntry> want = {{"0:41", "/", "/mnt/ebs"},
                                        {"0:42", "/", "/mnt/with space\\"},
                                        {"0:41", "/worktrees/a", "/scratch"},
                                        {"0:47", "/", "/again"}};
  EXPECT_EQ(ebbfs_mounts(kMountinfo), want);
}

TEST(Mountinfo, WithoutAnyIsAnEmptyList) {
  EXPECT_TRUE(ebbfs_mounts("").empty());
  EXPECT_TRUE(ebbfs_mounts("\n \n - \n").empty());
}

}  // namespace
}  // namespace ebbfs
