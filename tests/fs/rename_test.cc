// SPDX-License-Identifier: Apache-2.0
//
// Renames on the rig, beside others who freeze what they concern.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fs/exports.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

class RenameAcross : public testing::Test {
 protected:
  RenameAcross() {
    rig_.mount();
    for (const char* dir : {"plain", "plain/tree", "worktrees", "worktrees/a"}) {
      EXPECT_TRUE(rig_.make_dir(dir));
    }
    unit_ = rig_.unit("worktrees/a");
    EXPECT_TRUE(unit_->freeze(1s));
  }
  VolumeRig rig_;
  UnitRef unit_;  // frozen
};

TEST_F(RenameAcross, WaitsForWhoHasAUnitFrozenForAnInstant) {
  std::thread other([&] {
    std::this_thread::sleep_for(100ms);
    unit_->thaw();
  });
  EXPECT_TRUE(rig_.rename("plain/tree", "worktrees/a/tree"));
  other.join();
  EXPECT_TRUE(rig_.exists("worktrees/a/tree"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(RenameAcross, DoesNotWaitForEver) {
  const auto renamed = rig_.rename("plain/tree", "worktrees/a/tree");
  unit_->thaw();
  ASSERT_FALSE(renamed);
  EXPECT_EQ(renamed.error(), Errno{EBUSY});
  EXPECT_TRUE(rig_.exists("plain/tree"));
  EXPECT_TRUE(rig_.exact());
}

const char* const kJobs = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "1h"
[[class]]
name = "agent"
kind = "tree"
match = ["agents/{job}/wt/*"]
ttl = "1h"
)";

// Units are pinned by somebody who relies on it.
class RenamePinned : public testing::Test {
 protected:
  RenamePinned() {
    rig_.mount();
    exports_.emplace(rig_.parts().backing->state_dir());
    rig_.volume().exports = &*exports_;
    rig_.reaper().run_once();
    for (const char* dir : {"plain", "worktrees", "worktrees/a", "agents", "agents/j1",
                            "agents/j1/wt", "agents/j1/wt/a", "agents/j2", "agents/j2/wt"}) {
      EXPECT_TRUE(rig_.make_dir(dir)) << dir;
    }
  }
  void pin(const std::string& path) {
    ASSERT_TRUE(rig_.volume().units.set_pinned(*rig_.unit(path), true)) << path;
    export_pins(rig_.volume());
  }
  // Whether that unit is pinned, and no other is; also by what outlives the index.
  testing::AssertionResult only_pinned(const std::string& path) {
    for (const UnitRef& unit : rig_.volume().units.all()) {
      if (unit->pinned() == (unit->path() == path)) continue;
      return testing::AssertionFailure() << unit->path() << " is " << (unit->pinned() ? "" : "not");
    }
    const auto stored = rig_.parts().index->load_units().value();
    if (std::ranges::count(stored, true, &UnitRecord::pinned) != (path.empty() ? 0 : 1)) {
      return testing::AssertionFailure() << "not what is stored";
    }
    rig_.reaper().run_once();
    const auto exported = Exports(rig_.parts().backing->state_dir()).found().pins;
    const auto want = path.empty() ? std::vector<std::string>{} : std::vector<std::string>{path};
    if (exported == want) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "exported: " << testing::PrintToString(exported);
  }
  VolumeRig rig_{kJobs};
  std::optional<Exports> exports_;
};

TEST_F(RenamePinned, StaysPinnedInItsClass) {
  pin("worktrees/a");
  ASSERT_TRUE(rig_.rename("worktrees/a", "worktrees/b"));
  EXPECT_TRUE(only_pinned("worktrees/b"));
}

TEST_F(RenamePinned, StaysPinnedInAnotherClass) {
  pin("worktrees/a");
  ASSERT_TRUE(rig_.rename("worktrees/a", "agents/j1/wt/b"));
  EXPECT_TRUE(only_pinned("agents/j1/wt/b"));
}

TEST_F(RenamePinned, StaysPinnedWhenADirectoryAboveGivesItAnotherJob) {
  pin("agents/j1/wt/a");
  ASSERT_TRUE(rig_.rename("agents/j1", "agents/j3"));
  EXPECT_TRUE(only_pinned("agents/j3/wt/a"));
}

TEST_F(RenamePinned, AFileStaysPinnedInAnotherClass) {
  ASSERT_TRUE(rig_.write_file("worktrees/file", "x"));
  pin("worktrees/file");
  ASSERT_TRUE(rig_.rename("worktrees/file", "agents/j2/wt/file"));
  EXPECT_TRUE(only_pinned("agents/j2/wt/file"));
}

TEST_F(RenamePinned, IsNoUnitOutsideOfAllClasses) {
  pin("worktrees/a");
  ASSERT_TRUE(rig_.rename("worktrees/a", "plain/a"));
  EXPECT_TRUE(only_pinned(""));
}

TEST_F(RenamePinned, DoesNotPinWhatItIsMovedInto) {
  pin("worktrees/a");
  ASSERT_TRUE(rig_.rename("worktrees/a", "agents/j1/wt/a/inside"));
  EXPECT_TRUE(only_pinned(""));
}

// A file that is open and has no name is in no tree.
class RenameNameless : public testing::Test {
 protected:
  RenameNameless() {
    rig_.mount();
    for (const char* dir :
         {"plain", "worktrees", "worktrees/a", "agents", "agents/j1", "agents/j1/wt"}) {
      EXPECT_TRUE(rig_.make_dir(dir)) << dir;
    }
    EXPECT_TRUE(rig_.write_file("worktrees/a/file", std::string(10'000, 'x')));
    file_ = rig_.open("worktrees/a/file", O_RDWR);
    EXPECT_TRUE(rig_.remove("worktrees/a/file"));
  }
  Usage held(const std::string& unit) { return rig_.unit(unit)->accounts().total().usage(); }
  Usage held_by_class(const std::string& name) { return rig_.volume().ledger.class_usage(name); }

  VolumeRig rig_{kJobs};
  OpenFile* file_ = nullptr;
};

TEST_F(RenameNameless, IsChargedToTheUnitThatItsOwnBecomes) {
  ASSERT_TRUE(rig_.rename("worktrees/a", "agents/j1/wt/a"));
  EXPECT_EQ(held("agents/j1/wt/a"), (Usage{{12288}, 2}));
  EXPECT_EQ(held_by_class("worktree"), Usage{});
  EXPECT_TRUE(rig_.append(file_, std::string(10'000, 'x')));
  EXPECT_EQ(held("agents/j1/wt/a"), (Usage{{20480}, 2}));
  rig_.close(file_);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(RenameNameless, KeepsTheUnitThatItsOwnBecomes) {
  ASSERT_TRUE(rig_.rename("worktrees/a", "agents/j1/wt/a"));
  rig_.advance(kRigUnitTtl * 2);
  rig_.reaper().run_once();
  EXPECT_TRUE(rig_.exists("agents/j1/wt/a"));
  rig_.close(file_);
  rig_.advance(kRigUnitTtl * 2);
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("agents/j1/wt/a"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(RenameNameless, IsChargedToNoClassOutsideOfAll) {
  const Usage before = rig_.volume().ledger.volume().usage();
  ASSERT_TRUE(rig_.rename("worktrees/a", "plain/a"));
  EXPECT_EQ(held_by_class("worktree"), Usage{});
  EXPECT_EQ(rig_.volume().ledger.volume().usage(), before);
  rig_.close(file_);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(RenameNameless, StaysWithAUnitThatOnlyGetsAnotherName) {
  ASSERT_TRUE(rig_.rename("worktrees/a", "worktrees/b"));
  EXPECT_EQ(held("worktrees/b"), (Usage{{12288}, 2}));
  rig_.close(file_);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(RenameNameless, StaysInTheUnitThatADirectoryLeaves) {
  ASSERT_TRUE(rig_.make_dir("worktrees/a/d"));
  ASSERT_TRUE(rig_.rename("worktrees/a/d", "agents/j1/wt/d"));
  EXPECT_EQ(held("worktrees/a"), (Usage{{12288}, 2}));
  EXPECT_EQ(held("agents/j1/wt/d"), (Usage{{0}, 1}));
  rig_.close(file_);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(RenameNameless, ThatDoesNotFitMovesNothing) {
  ASSERT_TRUE(rig_.volume().quotas.set("class:agent", {.bytes = 8192}, 0));
  EXPECT_EQ(rig_.rename("worktrees/a", "agents/j1/wt/a").error(), Errno{EDQUOT});
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  EXPECT_EQ(held("worktrees/a"), (Usage{{12288}, 2}));
  EXPECT_EQ(held_by_class("agent"), Usage{});
  rig_.close(file_);
  EXPECT_TRUE(rig_.exact());
}

}  // namespace
}  // namespace ebbfs
