// SPDX-License-Identifier: Apache-2.0
#include "fs/evictor.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kMarksPolicy = R"(
[volume]
high = "80%"
low = "50%"
reserve = "10%"
trash_retention = "10m"
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "24h"
keep = "1h"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**", "worktrees/*/*.lock"]
orphan_grace = "5s"
ttl = "5m"
)";

// A volume of 100 blocks of 4 KiB and 100 inodes, as far as the marks are concerned. One block and
// one inode are taken: the rig keeps a file there.
constexpr std::uint64_t kMiB = 1U << 20U;
constexpr std::int64_t kBlock = 4096;
constexpr std::int64_t kBlocks = 100;
constexpr std::int64_t kInodes = 100;

class EvictorTest : public testing::Test {
 protected:
  explicit EvictorTest(const std::string& policy = kMarksPolicy) : rig_(policy) {
    rig_.mount();
    gate_.emplace([this]() -> Result<SpaceGate::Look> {
      if (!looks_) return fail(EIO);
      const Usage used = rig_.parts().ledger.volume().usage();
      SpaceReading reading;
      reading.bytes = {kBlocks * kBlock, kBlocks * kBlock - used.bytes.n - others_ * kBlock};
      reading.inodes = {kInodes, kInodes - used.inodes};
      return SpaceGate::Look{reading, rig_.parts().rules->policy()->volume};
    });
    evictor_.emplace(rig_.volume(), rig_.trash(), rig_.reaper(), *gate_, rig_.kernel,
                     [this](const UnitRef& unit) {
                       ++looks_for_work_;
                       return work_.contains(unit->path());
                     });
    gate_->on_pressure([this] { pressed_ = true; });
    rig_.volume().space = &*gate_;
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    EXPECT_TRUE(rig_.make_dir("locks"));
  }

  // A unit of two inodes and so many blocks.
  void make(const std::string& name, std::int64_t blocks) {
    EXPECT_TRUE(rig_.make_dir("worktrees/" + name, worker_.tgid));
    const std::string content(static_cast<std::size_t>(blocks * kBlock), 'x');
    const auto made = rig_.write_file("worktrees/" + name + "/file", content, worker_.tgid);
    EXPECT_TRUE(made) << name << ": " << (made ? 0 : code(made.error()));
  }
  // Made one after the other, and all of them past their keep.
  void make_old(const std::vector<std::string>& names, std::int64_t blocks) {
    for (const std::string& name : names) {
      make(name, blocks);
      rig_.advance(seconds(1));
    }
    rig_.advance(hours(2));
  }
  bool there(const std::string& name) { return rig_.exists("worktrees/" + name); }
  std::string left() {
    std::vector<std::string> names = rig_.tree.list("worktrees");
    std::ranges::sort(names);
    std::string text;
    for (const std::string& name : names) text += name;
    return text;
  }
  std::size_t count(EventRecord::Kind kind) {
    return static_cast<std::size_t>(std::ranges::count(
        rig_.events(), kind, [](const EventRecord& event) { return event.kind; }));
  }

  VolumeRig rig_;
  const ProcessId worker_ = rig_.processes.start();
  std::int64_t others_ = 0;  // blocks taken by somebody else
  bool looks_ = true;
  bool pressed_ = false;
  std::set<std::string> work_;  // paths of units that hold work
  int looks_for_work_ = 0;
  std::optional<SpaceGate> gate_;
  std::optional<Evictor> evictor_;
};

TEST_F(EvictorTest, LeavesEverythingBelowTheHighMark) {
  make_old({"a", "b"}, 39);
  evictor_->round();
  EXPECT_EQ(left(), "ab");
  EXPECT_FALSE(pressed_);
}

TEST_F(EvictorTest, EvictsTheUnitUnusedLongestUntilTheLowMark) {
  make_old({"a", "b", "c", "d"}, 21);
  ASSERT_TRUE(rig_.write_file("worktrees/a/again", ""));
  rig_.advance(hours(2));
  evictor_->round();
  EXPECT_EQ(left(), "ad");  // 84 blocks, then 42
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_TRUE(rig_.exact());
  EXPECT_EQ(evictor_->state().evicted, 2U);
  EXPECT_EQ(evictor_->state().stuck, "");
}

TEST_F(EvictorTest, SaysWhatItEvictedAndWhy) {
  make_old({"a", "b", "c", "d"}, 21);
  evictor_->round();
  const auto event = rig_.last_event(EventRecord::Kind::evicted);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->path, "worktrees/b");
  EXPECT_EQ(event->rule, "for space, kept 1h");
  EXPECT_EQ(event->usage, (Usage{{21 * kBlock}, 2}));
  EXPECT_EQ(event->detail,
            "64.0 % of bytes and 9.0 % of inodes used, 144.0 KiB free; marks 80% and 50%, reserve "
            "10%");
  EXPECT_TRUE(rig_.kernel.has("removed b"));
}

TEST_F(EvictorTest, EmptiesTheTrashFirst) {
  make_old({"a", "b", "c", "d"}, 21);
  ASSERT_TRUE(rig_.reaper().expire(rig_.unit("worktrees/c"), false).trash.has_value());
  rig_.advance(seconds(1));
  ASSERT_TRUE(rig_.reaper().expire(rig_.unit("worktrees/d"), false).trash.has_value());
  evictor_->round();
  EXPECT_EQ(left(), "ab");
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_EQ(count(EventRecord::Kind::evicted), 0U);
}

TEST_F(EvictorTest, LeavesInTheTrashWhatNeedNotGo) {
  make_old({"a"}, 35);
  make_old({"b"}, 5);
  make_old({"c", "d"}, 20);
  for (const std::string name : {"a", "b"}) {
    ASSERT_TRUE(rig_.reaper().expire(rig_.unit("worktrees/" + name), false).trash.has_value());
    rig_.advance(seconds(1));
  }
  evictor_->round();
  ASSERT_EQ(rig_.trash().items().size(), 1U);
  EXPECT_EQ(rig_.trash().items()[0].record.unit.path, "worktrees/b");
  EXPECT_EQ(left(), "cd");
}

TEST_F(EvictorTest, EvictsUnitsThatHoldWorkLast) {
  make_old({"a", "b", "c", "d"}, 21);
  work_ = {"worktrees/a", "worktrees/c"};
  evictor_->round();
  EXPECT_EQ(left(), "ac");
}

TEST_F(EvictorTest, LooksForWorkAgainOnlyInAUnitThatWasUsedSince) {
  make("a", 85);
  ASSERT_TRUE(rig_.take_lock("worktrees/a/build.lock", worker_.tgid));  // it stays
  rig_.advance(hours(2));
  evictor_->round();
  evictor_->round();
  EXPECT_EQ(looks_for_work_, 1);
  ASSERT_TRUE(rig_.write_file("worktrees/a/more", ""));
  rig_.advance(hours(2));
  evictor_->round();
  EXPECT_EQ(looks_for_work_, 2);
}

TEST_F(EvictorTest, EvictsUnitsThatHoldWorkWhenNothingElseIsLeft) {
  make_old({"a", "b", "c", "d"}, 21);
  work_ = {"worktrees/a", "worktrees/b", "worktrees/c", "worktrees/d"};
  evictor_->round();
  EXPECT_EQ(left(), "cd");
  EXPECT_NE(rig_.last_event(EventRecord::Kind::evicted)->detail.find("holds work"),
            std::string::npos);
}

TEST_F(EvictorTest, NeverEvictsWhatIsRecentPinnedOrInUse) {
  make_old({"a", "b", "c", "d"}, 20);
  make("e", 4);
  ASSERT_TRUE(rig_.parts().units->set_pinned(*rig_.unit("worktrees/a"), true));
  OpenFile* const open = rig_.open("worktrees/b/file");
  rig_.advance(hours(2));
  ASSERT_TRUE(rig_.write_file("worktrees/e/more", ""));  // recent
  ASSERT_TRUE(rig_.take_lock("worktrees/c/build.lock", worker_.tgid));
  rig_.advance(minutes(59));
  rig_.processes.set_inodes_in_use(std::unordered_set{raw(rig_.at("worktrees/d"))});
  evictor_->round();
  EXPECT_EQ(left(), "abcde");
  const auto event = rig_.last_event(EventRecord::Kind::no_space);
  ASSERT_TRUE(event.has_value());
  for (const char* reason :
       {"1 unit pinned (80.0 KiB)", "1 unit with open files", "2 units used within keep",
        "1 unit with a process inside", "nothing more may go"}) {
    EXPECT_NE(event->detail.find(reason), std::string::npos) << reason << ": " << event->detail;
  }
  rig_.close(open);
}

TEST_F(EvictorTest, EvictsForInodesToo) {
  for (const char* name : {"a", "b", "c"}) {
    make(name, 0);
    for (int i = 0; i < 25; ++i) {
      const std::string file = std::string("worktrees/") + name + "/" + std::to_string(i);
      ASSERT_TRUE(rig_.write_file(file, ""));
    }
    rig_.advance(seconds(1));
  }
  rig_.advance(hours(2));
  evictor_->round();
  EXPECT_EQ(left(), "c");
}

TEST_F(EvictorTest, SeesWhatOthersTookOfTheFilesystem) {
  make_old({"a", "b"}, 10);
  others_ = 75;
  evictor_->round();
  EXPECT_EQ(left(), "");
  EXPECT_NE(evictor_->state().stuck, "");
}

TEST_F(EvictorTest, IsNotStoppedByTheBrake) {
  make_old({"a", "b", "c", "d"}, 21);
  BrakeRecord brake;
  brake.cause = BrakeRecord::Cause::mass;
  ASSERT_TRUE(rig_.parts().index->put_brake(brake, {}, {}));
  rig_.reaper().prepare();
  evictor_->round();
  EXPECT_EQ(left(), "cd");
}

TEST_F(EvictorTest, TakesNothingForOldBecauseTheClockWasSet) {
  make_old({}, 0);
  for (const char* name : {"a", "b", "c", "d"}) make(name, 21);
  rig_.clock.step_wall(hours(48));
  evictor_->round();
  EXPECT_EQ(rig_.reaper().brake().cause, BrakeRecord::Cause::clock);
  EXPECT_EQ(left(), "abcd");
  rig_.advance(hours(1));
  evictor_->round();
  EXPECT_EQ(left().size(), 2U);
}

TEST_F(EvictorTest, TakesNothingForOldBecauseTheClockWasSetMoreThanOnce) {
  make_old({}, 0);
  for (const char* name : {"a", "b", "c", "d"}) make(name, 21);
  for (const auto step : {minutes(48 * 60), minutes(2), minutes(-24 * 60)}) {
    rig_.clock.step_wall(step);
    evictor_->round();
    EXPECT_EQ(left(), "abcd") << step.count();
  }
  rig_.advance(hours(1));
  evictor_->round();
  EXPECT_EQ(left().size(), 2U);
}

TEST_F(EvictorTest, RemovesNothingWhereThePolicyOnlyObserves) {
  make_old({"a", "b", "c", "d"}, 21);
  rig_.reload("mode = \"observe\"\n" + std::string(kMarksPolicy));
  evictor_->round();
  EXPECT_EQ(left(), "abcd");
  EXPECT_NE(rig_.last_event(EventRecord::Kind::no_space)->detail.find("only observes"),
            std::string::npos);
}

TEST_F(EvictorTest, DoesNothingWhenFreeSpaceIsNotKnown) {
  make_old({"a", "b", "c", "d"}, 21);
  looks_ = false;
  evictor_->round();
  EXPECT_EQ(left(), "abcd");
}

TEST_F(EvictorTest, TellsOfTheSameTroubleOnceAMinute) {
  make("a", 85);
  evictor_->round();
  rig_.advance(seconds(59));
  evictor_->round();
  EXPECT_EQ(count(EventRecord::Kind::no_space), 1U);
  rig_.advance(seconds(1));
  evictor_->round();
  EXPECT_EQ(count(EventRecord::Kind::no_space), 2U);
}

TEST_F(EvictorTest, HasAWaitingRequestMadeAgainWhenThereIsRoom) {
  make_old({"a", "b"}, 44);
  EXPECT_FALSE(gate_->admit(10 * kBlock));
  std::vector<bool> tries;
  evictor_->wait_for_space(rig_.clock.mono_now(), [&](bool last) { tries.push_back(last); });
  evictor_->round();
  EXPECT_EQ(tries, std::vector<bool>{false});
  EXPECT_EQ(left(), "b");
  EXPECT_TRUE(gate_->admit(10 * kBlock));
}

TEST_F(EvictorTest, HasWaitingRequestsMadeAgainInTheOrderInWhichTheyCame) {
  make_old({"a", "b"}, 44);
  std::vector<int> order;
  const MonoTime now = rig_.clock.mono_now();
  const auto wait = [&](int number, Duration ago) {
    evictor_->wait_for_space(now - ago, [&order, number](bool) { order.push_back(number); });
  };
  wait(2, std::chrono::milliseconds(20));
  wait(3, std::chrono::milliseconds(10));
  wait(1, std::chrono::milliseconds(30));  // it is back: somebody else took the room
  evictor_->round();
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST_F(EvictorTest, GivesTheFinalAnswerWhenNothingMoreMayGo) {
  make("a", 89);
  EXPECT_FALSE(gate_->admit(2 * kBlock));
  std::vector<bool> tries;
  evictor_->wait_for_space(rig_.clock.mono_now(), [&](bool last) { tries.push_back(last); });
  EXPECT_TRUE(evictor_->may_help());
  evictor_->round();
  EXPECT_EQ(tries, std::vector<bool>{true});
  EXPECT_FALSE(evictor_->may_help());  // for a moment
  rig_.advance(seconds(1));
  EXPECT_TRUE(evictor_->may_help());
}

TEST_F(EvictorTest, EvictsNothingForARequestThatCouldNeverFit) {
  make_old({"a", "b"}, 30);
  EXPECT_FALSE(gate_->admit(60 * kBlock));
  std::vector<bool> tries;
  evictor_->wait_for_space(rig_.clock.mono_now(), [&](bool last) { tries.push_back(last); });
  evictor_->round();
  EXPECT_EQ(tries, std::vector<bool>{true});
  EXPECT_EQ(left(), "ab");
}

TEST_F(EvictorTest, EvictsBelowTheHighMarkForARequestThatThereIsNoRoomFor) {
  make_old({"a", "b"}, 35);
  EXPECT_FALSE(gate_->admit(30 * kBlock));
  evictor_->wait_for_space(rig_.clock.mono_now(), [](bool) {});
  evictor_->round();
  EXPECT_EQ(left(), "b");
}

TEST_F(EvictorTest, AnswersWhoWaitsWhenItStops) {
  std::vector<bool> tries;
  evictor_->wait_for_space(rig_.clock.mono_now(), [&](bool last) { tries.push_back(last); });
  evictor_->stop();
  EXPECT_EQ(tries, std::vector<bool>{true});
}

// ---- The gate, by what requests see
// -------------------------------------------------------------

TEST_F(EvictorTest, RefusesNewDataThatWouldGoIntoTheReserve) {
  make("a", 88);
  EXPECT_EQ(rig_.write_file("worktrees/a/more", std::string(2 * kBlock, 'x')), fail(ENOSPC));
  EXPECT_TRUE(pressed_);
  EXPECT_TRUE(rig_.write_file("worktrees/a/less", std::string(kBlock, 'x')));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(EvictorTest, LetsLocksHaveTheReserve) {
  make("a", 89);
  EXPECT_TRUE(rig_.take_lock("locks/job.lock", worker_.tgid, "4242\n"));
  EXPECT_EQ(rig_.write_file("locks/big.lock", std::string(kBlock + 1, 'x')), fail(ENOSPC));
  EXPECT_TRUE(rig_.remove("locks/job.lock"));
}

TEST_F(EvictorTest, LetsLocksHaveTheReserveOfInodes) {
  make("a", 0);
  for (int i = 0; gate_->admit_inode() && i < 200; ++i) {
    ASSERT_TRUE(rig_.write_file("worktrees/a/" + std::to_string(i), ""));
  }
  EXPECT_EQ(rig_.write_file("worktrees/a/more", ""), fail(ENOSPC));
  EXPECT_EQ(rig_.make_dir("worktrees/a/directory"), fail(ENOSPC));
  EXPECT_TRUE(rig_.take_lock("locks/job.lock", worker_.tgid));
  EXPECT_TRUE(rig_.make_dir("locks/job.dir", worker_.tgid));
}

TEST_F(EvictorTest, LetsFilesBeWrittenInPlaceWhenThereIsNoRoom) {
  make("a", 89);
  OpenFile* const file = rig_.open("worktrees/a/file", O_RDWR);
  const std::string text(kBlock, 'y');
  const Caller caller{.may_block = true};
  const auto bytes = std::as_bytes(std::span(text));
  auto& fs = *rig_.parts().filesystem;
  EXPECT_TRUE(fs.write(caller, *file, bytes, 0, false).has_value());
  EXPECT_EQ(fs.write(caller, *file, bytes, 89 * kBlock, false), fail(ENOSPC));
  rig_.close(file);
}

TEST_F(EvictorTest, LetsNoHoleBeFilledWhenThereIsNoRoom) {
  ASSERT_TRUE(rig_.make_dir("worktrees/s"));
  ASSERT_TRUE(rig_.write_file("worktrees/s/sparse", ""));
  AttributeChange change;
  change.size = 8 * kBlock;
  const Caller caller{.may_block = true};
  auto& fs = *rig_.parts().filesystem;
  ASSERT_TRUE(
      fs.set_attributes(caller, rig_.at("worktrees/s/sparse"), nullptr, change).has_value());
  others_ = 95;
  (void)gate_->refresh();
  OpenFile* const file = rig_.open("worktrees/s/sparse", O_RDWR);
  const std::string text(kBlock, 'y');
  EXPECT_EQ(fs.write(caller, *file, std::as_bytes(std::span(text)), kBlock, false), fail(ENOSPC));
  rig_.close(file);
}

TEST_F(EvictorTest, AdmitsWhenFreeSpaceIsNotKnown) {
  looks_ = false;
  EXPECT_TRUE(gate_->admit(1000 * kBlock));
}

TEST_F(EvictorTest, ShowsTheVolumeLessTheReserve) {
  struct statvfs raw{};
  ASSERT_EQ(::statvfs(rig_.tree.path().c_str(), &raw), 0);
  const auto shown = rig_.parts().filesystem->filesystem_stat(kRootNode);
  ASSERT_TRUE(shown.has_value());
  const Usage kept = reserve_of(read_space(raw, Account()), {.fraction = 0.1});
  EXPECT_EQ((raw.f_blocks - shown->f_blocks) * raw.f_frsize / kMiB,
            static_cast<std::uint64_t>(kept.bytes.n) / kMiB);
  EXPECT_EQ(raw.f_files - shown->f_files, static_cast<std::uint64_t>(kept.inodes));
}

}  // namespace
}  // namespace ebbfs
