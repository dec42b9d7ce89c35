// SPDX-License-Identifier: Apache-2.0
//
// What is seen of what holds a unit; that it is kept for it is in unit_reaper_test.cc.
#include "fs/busy.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>

#include "fs/tree.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

constexpr const char* kMount = "/mnt/rig";

struct MountedRig : VolumeRig {
  MountedRig() { mount(); }
};

class BusyTest : public testing::Test {
 protected:
  BusyTest() {
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    EXPECT_TRUE(rig_.make_dir("worktrees/a b"));
  }
  BusyProbe::Found look() {
    const auto dir = open_beneath(rig_.parts().backing->root(), "worktrees", O_RDONLY);
    return probe_.look(rig_.unit("worktrees/a b"), "worktrees/a b", dir->get(), "a b");
  }
  void mounted_at(const std::string& escaped) {
    std::ofstream(rig_.tree.at("mountinfo"))
        << "22 21 0:9 / " << escaped << " rw - tmpfs none rw\n";
    rig_.advance(BusyProbe::kFresh * 2);
  }

  MountedRig rig_;
  Brake brake_{rig_.volume()};
  LockReaper locks_{rig_.volume(), rig_.trash(), rig_.kernel, brake_};
  BusyProbe probe_{rig_.volume(), locks_, MountedAt{1, kMount, rig_.tree.at("mountinfo").string()}};
};

TEST_F(BusyTest, NothingHoldsAnIdleUnit) {
  mounted_at("/elsewhere");
  const auto found = look();
  EXPECT_EQ(found.busy.open_files, Answer::no);
  EXPECT_EQ(found.busy.process_inside, Answer::no);
  EXPECT_EQ(found.busy.live_lock, Answer::no);
  EXPECT_EQ(found.busy.git_locked, Answer::no);
  EXPECT_EQ(found.busy.mount_inside, Answer::no);
  EXPECT_TRUE(found.blockers.empty());
}

TEST_F(BusyTest, UnderstandsHowMountPointsAreWritten) {
  struct Case {
    const char* name;
    const char* mountpoint;
    Answer inside;
  };
  for (const Case& row : {Case{"below it", "/mnt/rig/worktrees/a\\040b/m", Answer::yes},
                          Case{"upon it", "/mnt/rig/worktrees/a\\040b", Answer::yes},
                          Case{"another unit", "/mnt/rig/worktrees/a\\040bc", Answer::no},
                          Case{"above it", "/mnt/rig/worktrees", Answer::no},
                          Case{"another escape", "/mnt/rig/worktrees/a\\134b/m", Answer::no}}) {
    SCOPED_TRACE(row.name);
    mounted_at(row.mountpoint);
    EXPECT_EQ(look().busy.mount_inside, row.inside);
  }
}

TEST_F(BusyTest, FindsMountsInOtherNamespaces) {
  mounted_at("/elsewhere");
  const auto inside = [&](const char* path) {
    rig_.processes.set_in_use(ProcessUse{.inodes = {}, .beneath = {}, .mounted_upon = {path}});
    rig_.advance(BusyProbe::kFresh * 2);
    return look().busy.mount_inside;
  };
  EXPECT_EQ(inside("worktrees/a b/m"), Answer::yes);
  EXPECT_EQ(inside("worktrees/a b"), Answer::yes);
  EXPECT_EQ(inside("worktrees/a bc"), Answer::no);
  EXPECT_EQ(inside("worktrees"), Answer::no);
  EXPECT_EQ(inside(""), Answer::no);
}

TEST_F(BusyTest, DoesNotKnowWhatItCannotRead) {
  std::ofstream(rig_.tree.at("mountinfo")) << "nonsense\n";
  rig_.processes.set_inodes_in_use(fail(EIO));
  const auto found = look();
  EXPECT_EQ(found.busy.mount_inside, Answer::unknown);
  EXPECT_EQ(found.busy.process_inside, Answer::unknown);
  ASSERT_EQ(found.blockers.size(), 2U);
  EXPECT_EQ(found.blockers[0].reason, Reason::use_unknown);
}

TEST_F(BusyTest, DoesNotKnowAnythingBeforeTheMount) {
  BusyProbe unmounted(rig_.volume(), locks_, std::nullopt);
  const auto dir = open_beneath(rig_.parts().backing->root(), "worktrees", O_RDONLY);
  const auto found = unmounted.look(rig_.unit("worktrees/a b"), "worktrees/a b", dir->get(), "a b");
  EXPECT_EQ(found.busy.mount_inside, Answer::unknown);
  EXPECT_EQ(found.busy.process_inside, Answer::unknown);
  EXPECT_EQ(rig_.processes.scans(), 0U);
}

TEST_F(BusyTest, FindsProcessesDeepInside) {
  mounted_at("/elsewhere");
  ASSERT_TRUE(rig_.make_dir("worktrees/a b/sub"));
  rig_.processes.set_inodes_in_use(std::unordered_set{raw(rig_.at("worktrees/a b/sub"))});
  EXPECT_EQ(look().busy.process_inside, Answer::yes);
}

TEST_F(BusyTest, FindsProcessesThatWereInsideBeforeTheMount) {
  mounted_at("/elsewhere");
  rig_.tree.make_dir("worktrees/a b/never looked up");
  rig_.tree.write_file("worktrees/a b/file", "x");
  rig_.tree.make_dir("outside");
  const auto beneath = [&](const char* path) {
    const auto handle = handle_at(AT_FDCWD, rig_.tree.at(path).c_str(), 0);
    rig_.processes.set_in_use(ProcessUse{.inodes = {}, .beneath = {handle.value()}});
    rig_.advance(BusyProbe::kFresh * 2);
    return look().busy.process_inside;
  };
  EXPECT_EQ(beneath("worktrees/a b/never looked up"), Answer::yes);
  EXPECT_EQ(beneath("worktrees/a b/file"), Answer::yes);
  EXPECT_EQ(beneath("outside"), Answer::no);
  EXPECT_EQ(beneath(".."), Answer::no);
}

TEST_F(BusyTest, ListsProcessesAnewOnlyAfterAWhile) {
  mounted_at("/elsewhere");
  (void)look();
  (void)look();
  EXPECT_EQ(rig_.processes.scans(), 1U);
  rig_.advance(BusyProbe::kFresh + std::chrono::nanoseconds(1));
  (void)look();
  EXPECT_EQ(rig_.processes.scans(), 2U);
}

TEST_F(BusyTest, NamesTheOwnerOfALiveLock) {
  mounted_at("/elsewhere");
  const ProcessId worker = rig_.processes.start();
  ASSERT_TRUE(rig_.take_lock("worktrees/a b/x.lock", worker.tgid));
  const auto found = look();
  ASSERT_EQ(found.blockers.size(), 1U);
  EXPECT_EQ(found.blockers[0].text,
            "lock worktrees/a b/x.lock of pid " + std::to_string(worker.tgid) + " (worker)");
}

}  // namespace
}  // namespace ebbfs
