// SPDX-License-Identifier: Apache-2.0
//
// A volume that is full, or nearly: eviction, waiting for space, and what works at 100 %.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <thread>

#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"
#include "tests/support/git.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kSmallVolumePolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "1h"
keep = "1s"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**"]
orphan_grace = "1s"
ttl = "1h"
)";
constexpr auto kPastKeep = 1200ms;
constexpr const char* kSize = "128M";

class Space : public OnVolume, public testing::WithParamInterface<Ground> {
 protected:
  void SetUp() override {
    mount({.filesystem = GetParam().filesystem, .size = size(), .policy = kSmallVolumePolicy});
    if (IsSkipped()) return;
    ASSERT_EQ(::mkdir(at("worktrees").c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(at("locks").c_str(), 0755), 0);
  }
  // XFS will not be made any smaller.
  [[nodiscard]] static std::string size() {
    return std::string(GetParam().filesystem) == "xfs" ? "320M" : kSize;
  }
  [[nodiscard]] std::int64_t room() const {
    struct statvfs space{};
    EXPECT_EQ(::statvfs(volume_->path().c_str(), &space), 0);
    return static_cast<std::int64_t>(space.f_bavail * space.f_frsize);
  }
  // An idle unit that takes `percent` of the volume.
  void make_unit(const std::string& name, int percent) const {
    const std::string bytes = std::to_string(total_ * percent / 100);
    const Ran ran = shell("mkdir worktrees/" + name + " && head -c " + bytes +
                              " /dev/zero > worktrees/" + name + "/file",
                          volume_->path());
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
  }
  void measure() { total_ = room(); }
  // Takes all the room there is, outside of any unit.
  [[nodiscard]] Ran fill() const {
    return shell("head -c 1G /dev/zero > filler; dd if=/dev/zero of=rest bs=4k status=none",
                 volume_->path());
  }
  [[nodiscard]] bool there(const std::string& name) const {
    return exists(at("worktrees/" + name));
  }
  [[nodiscard]] nlohmann::json last_event(const std::string& kind) const {
    nlohmann::json last;
    for (const auto& event : volume_->events()) {
      if (event["kind"] == kind) last = event;
    }
    return last;
  }

  std::int64_t total_ = 0;
};

TEST_P(Space, AWriterGetsTheRoomOfIdleUnitsTheOldestFirst) {
  measure();
  for (const char* name : {"first", "second", "third"}) make_unit(name, 20);
  std::this_thread::sleep_for(kPastKeep);
  make_unit("writer", 35);
  EXPECT_TRUE(eventually([&] { return !there("first"); }, 10s));
  EXPECT_TRUE(there("third"));
  EXPECT_TRUE(there("writer"));
  EXPECT_THAT(last_event("evicted").dump(), HasSubstr("for space, kept 1s"));
}

TEST_P(Space, EvictionStopsAtTheLowMark) {
  measure();
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) make_unit(name, 10);
  std::this_thread::sleep_for(kPastKeep);
  make_unit("writer", 10);
  EXPECT_TRUE(eventually([&] { return !there("a"); }, 10s));
  std::this_thread::sleep_for(500ms);
  EXPECT_TRUE(there("c"));
  EXPECT_GT(room(), total_ / 5);
}

TEST_P(Space, AFullVolumeAnswersNoSpaceAndSaysWhy) {
  const Ran full = fill();
  EXPECT_NE(full.exit_code, 0);
  EXPECT_THAT(full.out, HasSubstr("No space left on device"));
  EXPECT_LE(room(), 1 << 20);
  EXPECT_THAT(last_event("no_space").dump(), HasSubstr("nothing more may go"));
}

TEST_P(Space, LocksCanBeMadeWrittenAndRemovedWhenItIsFull) {
  ASSERT_NE(fill().exit_code, 0);
  for (int i = 0; i < 50; ++i) {
    const Ran ran = shell(
        "set -C; echo $$ > locks/job.lock && mkdir locks/dir.lock && "
        "ln -s $$ locks/link.lock && cat locks/job.lock && "
        "rm locks/job.lock locks/link.lock && rmdir locks/dir.lock",
        volume_->path());
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
  }
  EXPECT_EQ(volume_->ebbctl("status").exit_code, 0);
}

TEST_P(Space, TheIndexHasRoomHoweverManyLocksAreTakenWhenItIsFull) {
  ASSERT_NE(fill().exit_code, 0);
  for (int i = 0; i < 5000; ++i) {
    const std::string path = at("locks/" + std::to_string(i % 50) + ".lock");
    const UniqueFd lock = opened(path, O_CREAT | O_EXCL | O_WRONLY);
    ASSERT_TRUE(lock.valid()) << i;
    ASSERT_EQ(::write(lock.get(), "4242\n", 5), 5) << i;
    ASSERT_EQ(::unlink(path.c_str()), 0) << i;
  }
  EXPECT_EQ(volume_->json("status")["degraded"], nlohmann::json::array());
}

TEST_P(Space, AnythingCanBeRemovedWhenItIsFull) {
  make_unit("unit", 0);
  ASSERT_EQ(shell("mkdir -p deep/er && for i in $(seq 100); do echo x > deep/er/$i; done",
                  volume_->path())
                .exit_code,
            0);
  {
    const UniqueFd in_use = opened(at("worktrees/unit/file"), O_RDONLY);
    ASSERT_NE(fill().exit_code, 0);
  }
  EXPECT_EQ(
      shell("rm -r deep && rm -r worktrees/unit && rm filler rest", volume_->path()).exit_code, 0);
  EXPECT_EQ(shell("echo back > file && cat file", volume_->path()).out, "back\n");
}

TEST_P(Space, PinsAndQuotasAreStoredWhenItIsFull) {
  make_unit("unit", 1);
  const UniqueFd in_use = opened(at("worktrees/unit/file"), O_RDONLY);
  ASSERT_NE(fill().exit_code, 0);
  EXPECT_EQ(volume_->ebbctl("pin worktrees/unit").exit_code, 0);
  EXPECT_EQ(volume_->ebbctl("quota set user:0 --bytes 1G").exit_code, 0);
  volume_->kill_daemon();
  volume_->mount();
  EXPECT_EQ(volume_->units().at(0)["pinned"], true);
}

TEST_P(Space, UnitsInUseAreNotEvictedHoweverFullItIs) {
  measure();
  make_unit("open", 20);
  make_unit("inside", 20);
  make_unit("pinned", 20);
  const int file = ::open(at("worktrees/open/file").c_str(), O_RDONLY);
  const ChildProcess inside([&](const ChildProcess::Talk& talk) {
    talk.tell(::chdir(at("worktrees/inside").c_str()));
    talk.wait_for_ever();
    return 0;
  });
  ASSERT_EQ(inside.hear(), 0);
  ASSERT_EQ(volume_->ebbctl("pin worktrees/pinned").exit_code, 0);
  std::this_thread::sleep_for(kPastKeep);
  EXPECT_NE(fill().exit_code, 0);
  for (const char* name : {"open", "inside", "pinned"}) EXPECT_TRUE(there(name)) << name;
  ::close(file);
}

TEST_P(Space, TheTrashIsEmptiedBeforeAnythingIsEvicted) {
  measure();
  make_unit("trashed", 30);
  make_unit("idle", 30);
  ASSERT_EQ(volume_->ebbctl("expire worktrees/trashed").exit_code, 0);
  std::this_thread::sleep_for(kPastKeep);
  make_unit("writer", 30);
  EXPECT_TRUE(there("idle"));
  // The writer goes on once there is room, which is before the last file has gone.
  EXPECT_TRUE(eventually([&] { return volume_->json("status")["trash"]["units"] == 0; }, 10s));
}

TEST_P(Space, OthersGoOnWhileOneWaitsForSpace) {
  measure();
  // Much to delete, so that the wait is long.
  ASSERT_EQ(shell("mkdir worktrees/many && cd worktrees/many && head -c 8M /dev/zero > big && "
                  "for d in $(seq 20); do mkdir $d; (cd $d; seq 200 | xargs touch); done",
                  volume_->path())
                .exit_code,
            0);
  make_unit("idle", 60);
  std::this_thread::sleep_for(kPastKeep);
  std::thread writer([&] { (void)fill(); });
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(shell("ls worktrees >/dev/null; rm -f none", volume_->path()).exit_code, 0);
    std::this_thread::sleep_for(5ms);
  }
  writer.join();
  EXPECT_FALSE(there("idle"));
}

TEST_P(Space, ALimitOnTheVolumeIsKeptByEmptyingTheTrashAndEvicting) {
  ASSERT_EQ(volume_->ebbctl("quota set volume --bytes 40M").exit_code, 0);
  const auto make = [&](const char* name) {
    return shell(std::string("mkdir worktrees/") + name + " && head -c 12M /dev/zero > worktrees/" +
                     name + "/file",
                 volume_->path());
  };
  ASSERT_EQ(make("trashed").exit_code, 0);
  ASSERT_EQ(make("idle").exit_code, 0);
  ASSERT_EQ(volume_->ebbctl("expire worktrees/trashed").exit_code, 0);
  std::this_thread::sleep_for(kPastKeep);
  ASSERT_EQ(make("third").exit_code, 0);
  EXPECT_TRUE(there("idle"));
  const Ran fourth = make("fourth");
  EXPECT_EQ(fourth.exit_code, 0) << fourth.out;
  EXPECT_TRUE(eventually([&] { return !there("idle"); }, 10s));
}

TEST_P(Space, AWorktreeWithWorkInItGoesAfterThoseWithout) {
  measure();
  git_script(volume_->path(),
             "head -c " + std::to_string(total_ * 12 / 100) + " /dev/urandom > big" + R"(
    git init -q --bare remote && git clone -q remote repo 2>/dev/null && cd repo
    mv ../big . && git add big && git commit -qm big && git push -q origin HEAD
    git worktree add -q ../worktrees/dirty -b dirty && echo more >> ../worktrees/dirty/big
    sleep 0.1; git worktree add -q ../worktrees/clean -b clean)");
  std::this_thread::sleep_for(kPastKeep);
  make_unit("writer", 32);
  ASSERT_TRUE(eventually([&] { return !there("clean"); }, 10s));
  for (const auto& event : volume_->events()) {
    if (event["kind"] != "evicted") continue;
    EXPECT_EQ(event["path"], "worktrees/clean");
    break;
  }
}

INSTANTIATE_TEST_SUITE_P(On, Space, testing::ValuesIn(kFilesystems), ground_name);

class FewInodes : public OnVolume, public testing::WithParamInterface<Ground> {
 protected:
  void SetUp() override {
    mount({.filesystem = GetParam().filesystem,
           .size = "64M",
           .inodes = 2000,
           .policy = kSmallVolumePolicy});
    if (IsSkipped()) return;
    ASSERT_EQ(shell("mkdir worktrees locks", volume_->path()).exit_code, 0);
  }
  [[nodiscard]] Ran make_unit(const std::string& name, int files) const {
    return shell("mkdir worktrees/" + name + " && cd worktrees/" + name + " && for i in $(seq " +
                     std::to_string(files) + "); do : > $i || exit 1; done",
                 volume_->path());
  }
};

TEST_P(FewInodes, AreFreedByEvictingAsBytesAre) {
  ASSERT_EQ(make_unit("first", 700).exit_code, 0);
  ASSERT_EQ(make_unit("second", 700).exit_code, 0);
  std::this_thread::sleep_for(kPastKeep);
  const Ran third = make_unit("third", 1000);
  EXPECT_EQ(third.exit_code, 0) << third.out;
  EXPECT_FALSE(exists(at("worktrees/first")));
}

TEST_P(FewInodes, AreThereForLocksWhenNoOthersAre) {
  EXPECT_NE(make_unit("greedy", 3000).exit_code, 0);
  EXPECT_EQ(
      shell("echo $$ > locks/job.lock && mkdir locks/dir && rm locks/job.lock", volume_->path())
          .exit_code,
      0);
  EXPECT_EQ(shell("rm -r worktrees/greedy && mkdir worktrees/next", volume_->path()).exit_code, 0);
}

// The request that waits holds the kernel's lock of the very directory that loses a name.
TEST_P(FewInodes, AreFreedForANewUnitBesideTheOneThatGoes) {
  ASSERT_EQ(make_unit("old", 900).exit_code, 0);
  std::this_thread::sleep_for(kPastKeep);
  const int filler = ::open(at("filler").c_str(), O_CREAT | O_WRONLY, 0644);
  ASSERT_GE(filler, 0);
  // The rest, by files that are in no unit; the last ones need what the old unit has.
  ASSERT_EQ(shell("mkdir rest && cd rest && for i in $(seq 1050); do : > $i || exit 1; done",
                  volume_->path())
                .exit_code,
            0);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(::mkdir(at("worktrees/new" + std::to_string(i)).c_str(), 0755), 0) << i;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  ::close(filler);
}

// XFS makes inodes as it needs them.
INSTANTIATE_TEST_SUITE_P(On, FewInodes, testing::Values(kFilesystems[0], kFilesystems[1]),
                         ground_name);

}  // namespace
}  // namespace ebbfs::test
