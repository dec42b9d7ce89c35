// SPDX-License-Identifier: Apache-2.0
//
// An index that is damaged, deleted or full: the volume is served, files are as they were, what the
// index knew is found again in the tree, and it is said loudly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

// Everything in the volume with its content, but for the index.
constexpr const char* kPicture =
    "find . -path ./.ebbfs -prune -o -type f -print | sort | xargs sha256sum";

class LostIndex : public OnVolume {
 protected:
  void SetUp() override {
    mount({.size = "64M", .policy = policy()});
    if (IsSkipped()) return;
    const Ran made = shell(
        "mkdir -p worktrees/kept worktrees/other/deep plain && echo one >worktrees/kept/file && "
        "head -c 100000 /dev/urandom >worktrees/other/deep/file && echo two >plain/file",
        volume_->path());
    ASSERT_EQ(made.exit_code, 0) << made.out;
    ASSERT_EQ(volume_->ebbctl("pin worktrees/kept").exit_code, 0);
    ASSERT_EQ(volume_->ebbctl("quota set user:21001 --bytes 10MiB").exit_code, 0);
    ASSERT_EQ(volume_->ebbctl("quota set unit:worktrees/other --inodes 50").exit_code, 0);
    before_ = shell(kPicture, volume_->path()).out;
  }
  static std::string policy(const std::string& grace = "10m", const std::string& ttl = "1h") {
    return "[volume]\nadopt_grace = \"" + grace +
           "\"\n[[class]]\nname = \"worktree\"\nkind = \"tree\"\nmatch = [\"worktrees/*\"]\nttl = "
           "\"" +
           ttl + "\"\n[[class]]\nname = \"lock\"\nkind = \"lock\"\nmatch = [\"locks/**\"]\n";
  }
  // Unmounted, with table files beside the log.
  void settle_index() {
    volume_->unmount();
    volume_->mount();
    volume_->unmount();
  }
  // `how` may use `flip FILE OFFSET`, which inverts that byte.
  void damage(const std::string& how) {
    const std::string flip =
        "flip() { local byte=$(od -An -tu1 -j$2 -N1 $1); printf \"\\\\x$(printf %02x $((255 - "
        "byte)))\" "
        "| dd of=$1 bs=1 seek=$2 conv=notrunc status=none; }; ";
    const Ran ran = shell(flip + how, volume_->at(".ebbfs/index"));
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
  }
  [[nodiscard]] bool exact_again() const {
    return eventually([&] { return !volume_->json("status")["provisional"].get<bool>(); }, 20s);
  }
  [[nodiscard]] bool well_again() const {
    return eventually([&] { return volume_->json("status")["degraded"].empty(); }, 20s);
  }
  [[nodiscard]] bool told(const std::string& rule) const {
    for (const auto& event : volume_->events()) {
      if (event["kind"] == "warning" && event["rule"] == rule) return true;
    }
    return false;
  }
  void expect_found_again() {
    EXPECT_EQ(shell(kPicture, volume_->path()).out, before_) << "files must not be touched";
    EXPECT_TRUE(exact_again());
    EXPECT_TRUE(volume_->counts_right());
    const auto units = volume_->units();
    ASSERT_EQ(units.size(), 2U) << units.dump(1);
    for (const auto& unit : units) {
      EXPECT_EQ(unit["pinned"], unit["path"] == "worktrees/kept") << unit.dump(1);
    }
    EXPECT_THAT(volume_->ebbctl("quota list").out, HasSubstr("10.0 MiB"));
    EXPECT_THAT(volume_->ebbctl("quota list").out, HasSubstr("unit:worktrees/other"));
  }
  // Where the daemon sees the volume itself, under the mount.
  [[nodiscard]] std::string backing() const {
    std::string found = shell("for f in /proc/" + std::to_string(volume_->daemon()) +
                              "/fd/*; do if [[ -d $f/.ebbfs/index ]]; then echo -n $f; break; fi; "
                              "done")
                            .out;
    return found;
  }

  std::string before_;
};

struct Damage {
  const char* name;
  const char* how;  // by a shell in the index directory
  friend std::ostream& operator<<(std::ostream& out, const Damage& damage) {
    return out << damage.name;
  }
};
constexpr Damage kDamages[] = {
    {.name = "DirectoryDeleted", .how = "cd .. && rm -rf index"},
    {.name = "DirectoryEmptied", .how = "rm -f *"},
    {.name = "AFileInItsPlace", .how = "cd .. && rm -rf index && echo nonsense >index"},
    {.name = "CurrentMissing", .how = "rm CURRENT"},
    {.name = "CurrentGarbage", .how = "echo nonsense >CURRENT"},
    {.name = "ManifestMissing", .how = "rm MANIFEST-*"},
    {.name = "ManifestCut", .how = "truncate -s 60 MANIFEST-*"},
    {.name = "ManifestBitFlipped", .how = "flip MANIFEST-* 90"},
    {.name = "TableMissing", .how = "rm $(ls *.sst | head -1)"},
    {.name = "TablesCut", .how = "truncate -s 200 *.sst"},
    {.name = "TableBitFlipped", .how = "for f in *.sst; do flip $f 20; done"},
};

class LostIndexOf : public LostIndex, public testing::WithParamInterface<Damage> {};

INSTANTIATE_TEST_SUITE_P(Damages, LostIndexOf, testing::ValuesIn(kDamages),
                         [](const auto& damage) { return std::string(damage.param.name); });

TEST_P(LostIndexOf, IsRebuiltFromTheTreeAndSaidLoudly) {
  settle_index();
  damage(GetParam().how);
  volume_->mount();
  EXPECT_TRUE(told("index lost")) << volume_->events().dump(1);
  expect_found_again();
  EXPECT_TRUE(well_again()) << volume_->json("status").dump(1);
  EXPECT_FALSE(volume_->json("status")["index_rebuilt"].is_null());
  EXPECT_FALSE(volume_->json("status")["adopt_grace_until"].is_null());
  volume_->unmount();
  const std::string kept = shell("ls -d .ebbfs/index.broken-*", volume_->path()).out;
  const std::string how = GetParam().how;
  EXPECT_EQ(kept.starts_with(".ebbfs/index.broken-"),
            how.find("rm -") == std::string::npos || how.find("nonsense") != std::string::npos)
      << kept;
  // And it is an index like any other.
  volume_->mount();
  EXPECT_FALSE(volume_->json("status")["provisional"].get<bool>());
  EXPECT_THAT(volume_->json("status")["degraded"], IsEmpty());
}

TEST_F(LostIndex, WithADamagedLogGoesBackToAnEarlierStateAndCountsAnew) {
  volume_->kill_daemon();
  // In what a record holds: with a wrong length it would be one that was not written to its end.
  damage(
      "log=$(ls -S *.log | head -1); "
      "flip $log $(grep -obUa worktrees/kept $log | head -1 | cut -d: -f1)");
  volume_->mount();
  EXPECT_TRUE(told("index rolled back")) << volume_->events().dump(1);
  expect_found_again();
  EXPECT_TRUE(well_again());
}

TEST_F(LostIndex, LetsNothingGoBeforeItsAgeIsKnownAndTheGraceIsOver) {
  volume_->set_policy(policy("4s", "1s"));
  volume_->unmount();
  damage("rm -f *");
  volume_->mount();
  const auto mounted = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - mounted < 3s) {
    ASSERT_TRUE(exists(at("worktrees/other")));
  }
  EXPECT_TRUE(eventually([&] { return !exists(at("worktrees/other")); }, 10s));
  EXPECT_TRUE(exists(at("worktrees/kept"))) << "pinned";
}

TEST_F(LostIndex, ShowsAndKeepsWhatIsInTheTrashThoughNobodyKnowsWhatItWas) {
  ASSERT_EQ(volume_->ebbctl("expire worktrees/other").exit_code, 0);
  volume_->unmount();
  damage("rm -f *");
  volume_->mount();
  EXPECT_TRUE(eventually([&] { return volume_->json("status")["trash"]["bytes"] == 102400; }, 10s))
      << volume_->json("status")["trash"].dump(1);
  EXPECT_TRUE(well_again()) << "removal is paused until then";
  // Its number is not used again.
  ASSERT_EQ(::mkdir(at("worktrees/third").c_str(), 0755), 0);
  EXPECT_EQ(volume_->ebbctl("expire worktrees/third").exit_code, 0);
  EXPECT_EQ(volume_->json("status")["trash"]["units"], 2);
  volume_->unmount();
  EXPECT_TRUE(exists(at(".ebbfs/trash/1/deep/file")));
  volume_->mount();
}

TEST_F(LostIndex, KeepsThreeBrokenOnesAtMost) {
  for (int i = 0; i < 5; ++i) {
    volume_->unmount();
    damage("echo nonsense >CURRENT");
    volume_->mount();
  }
  volume_->unmount();
  EXPECT_EQ(shell("ls -d .ebbfs/index.broken-* | wc -l", volume_->path()).out, "3\n");
  volume_->mount();
}

TEST_F(LostIndex, IsKeptInMemoryWhileTheDiskIsFullAndStoredAfterwards) {
  const std::string under = backing();
  ASSERT_FALSE(under.empty());
  (void)shell("dd if=/dev/zero of=filler bs=4k status=none", under);
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(::mkdir(at("worktrees/full" + std::to_string(i)).c_str(), 0755), 0) << i;
  }
  EXPECT_TRUE(eventually([&] { return !volume_->json("status")["degraded"].empty(); }, 10s));
  EXPECT_THAT(volume_->json("status")["degraded"].dump(), HasSubstr("no space"));
  EXPECT_EQ(volume_->units().size(), 42U);
  EXPECT_EQ(shell("rm filler", under).exit_code, 0);
  EXPECT_TRUE(well_again()) << volume_->json("status")["degraded"].dump(1);
  volume_->unmount();
  volume_->mount();
  EXPECT_FALSE(volume_->json("status")["provisional"].get<bool>()) << "nothing to count again";
  EXPECT_EQ(volume_->units().size(), 42U);
}

TEST_F(LostIndex, ThatCouldNotBeStoredIsNotBelievedAtTheNextMount) {
  const std::string under = backing();
  (void)shell("dd if=/dev/zero of=filler bs=4k status=none", under);
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(::mkdir(at("worktrees/full" + std::to_string(i)).c_str(), 0755), 0) << i;
  }
  EXPECT_TRUE(eventually([&] { return !volume_->json("status")["degraded"].empty(); }, 10s));
  volume_->kill_daemon();
  ASSERT_EQ(shell("rm filler", volume_->path()).exit_code, 0);
  volume_->mount();
  EXPECT_TRUE(exact_again());
  EXPECT_EQ(volume_->units().size(), 42U);
}

TEST_F(LostIndex, OnAReadOnlyFilesystemIsRefusedInOneLine) {
  volume_->unmount();
  ASSERT_EQ(shell("mount -o remount,ro " + volume_->path()).exit_code, 0);
  const Ran ran = shell("$EBBFS_BIN_DIR/ebbfs " + volume_->path());
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("lies on a read-only filesystem"));
  EXPECT_EQ(std::ranges::count(ran.out, '\n'), 1) << ran.out;
  ASSERT_EQ(shell("mount -o remount,rw " + volume_->path()).exit_code, 0);
  volume_->mount();
}

}  // namespace
}  // namespace ebbfs::test
